"""Names that no language model knows: how many are found once they are added, and what that costs the other words.

    python benchmarks/names.py --run RUN --lm LM --lexicon DICTIONARY --data DIR --others DIR [--noise SD] [--large LM]

RUN was trained on simulated recordings of preset=demo. The first 50 of the names below that the dictionary has and the
language model has not are each said in two sentences: 100 recordings, simulated into DIR where it is not there. They
are decoded as they are; with the names in a file search.words, as the dictionary says them or as guessed from their
letters; and in search.hotwords besides. A name is found where the sentence has it. Other words are wrong where they are
replaced or left out, or where a name is heard that was not said. Those of --others, the val split of recordings without
any such name (benchmarks/word_rates.py makes one), are counted as in word error rates, insertions with them. `--noise`
as in benchmarks/confidence.py. The time to add a word is measured with --large, or LM, one name after another, its
pronunciation given. Writes benchmarks/results/names.md.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kept
import numpy as np
import torch
from confidence import Setting
from rapidfuzz.distance import Levenshtein
from sentences import phonemes_of, record

from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.labels import T15
from mode_ssm.language.added_words import add_words
from mode_ssm.language.lexicon import Lexicon, read_lexicon
from mode_ssm.language.model import Additions, load_word_model
from mode_ssm.language.search import Found
from mode_ssm.language.trie import build_tree
from mode_ssm.language.vocabulary import load_words
from mode_ssm.recognition.ensemble import load_ensemble
from mode_ssm.scoring import normalise_sentence

NAMES = 50
CANDIDATES = """
abernathy achterberg adorno aguirre albrecht amundsen anastasio arbuthnot archuleta auerbach bagnall bainbridge
balthazar barenboim battaglia baumgartner beauregard bettencourt birnbaum blankenship boatwright bonaventure boudreaux
branagh brockmeyer brzezinski buchholz caballero callaghan cantrell carbajal castellano cavendish chamberlin ciccone
clementine coughlin crenshaw cunningham dagostino dahlgren delacroix delvecchio dickerson dombrowski dougherty
eastwood eberhardt eisenberg ellsworth engelhardt esposito fairbanks fassbender featherstone feldstein fitzgerald
fontaine friedlander gallagher garibaldi giordano goldschmidt gottlieb greenwald guggenheim gutierrez hadley haggerty
halvorsen hargrove hathaway heidegger hendricks hildebrand hollingsworth ignacio ingersoll isaacson jablonski
jankowski jorgensen kaczmarek kaminsky katzenberg kavanaugh kellerman kirkpatrick kowalski kurosawa lachance
lafontaine langenfeld leibowitz levandowski lindquist lombardo longoria macallister macdougall maldonado marchetti
mcallister mcconaughey mcgillicuddy mendelsohn messerschmidt mikkelsen montague montenegro moynihan mulholland
nakamura nakagawa nathanson niedermeyer novotny oconnor ohlsson oppenheim ostrowski palmieri papadopoulos pasternak
pellegrino perlmutter petrakis pfeiffer pomerantz quackenbush quintana rappaport reichert reinhardt rigoletto
robicheaux rosenbaum rothschild rutherford sanderson santangelo scarborough schaeffer schlesinger schoenberg
schumacher seligman sepulveda shaughnessy silverstein sokolov sorensen stavros steinbrenner stephanopoulos strickland
sutherland szymanski tannenbaum thibodeaux thorndike toscanini trujillo umberto underhill valenzuela vandenberg
vasquez villanueva vonnegut wachowski wadsworth weinberger westmoreland whitaker wojcik worthington yamaguchi yamamoto
zapata zimmerman
""".split()
FRAMES = (
    "I saw {} at the store",
    "can you call {} for me",
    "{} is coming to dinner",
    "we should invite {} too",
    "tell {} that I am ready",
    "my doctor is called {}",
    "have you heard from {} today",
    "{} used to live near here",
    "I would like to talk to {} about it",
    "that was very kind of {}",
    "where did {} put the keys",
    "I think {} knows the answer",
    "the letter is from {}",
    "please ask {} to wait outside",
    "{} and I went to school together",
    "how long has {} been working there",
    "it was a present for {}",
    "did you see the picture that {} took",
    "they all voted for {}",
    "{} will be here in an hour",
)


def sentences_of(names: Sequence[str], lexicon: Lexicon) -> list[tuple[str, str]]:
    """Each name in two sentences; phonemes and text."""
    count = len(FRAMES)
    said = [FRAMES[frame % count].format(name) for n, name in enumerate(names) for frame in (n, 3 * n + 1 + count // 2)]
    return [(phonemes_of(sentence.lower().split(), lexicon), sentence) for sentence in said]


def searches(names: Sequence[str], lexicon: Lexicon, folder: Path) -> dict[str, WordSearchConfig]:
    """Ways to look for the names, with their files."""
    spoken, alone, hot = (str(folder / name) for name in ("spoken", "alone", "hot"))
    Path(spoken).write_text("".join(f"{name}  {T15.text(lexicon[name][0])}\n" for name in names))
    Path(alone).write_text("".join(f"{name}\n" for name in names))
    Path(hot).write_text("".join(f"{name}\n" for name in names))
    return {
        "neither": WordSearchConfig(),
        "words, pronunciation given": WordSearchConfig(words=spoken),
        "words, pronunciation guessed": WordSearchConfig(words=alone),
        "hotwords, pronunciation given": WordSearchConfig(words=spoken, hotwords=hot),
        "hotwords, pronunciation guessed": WordSearchConfig(hotwords=hot),
    }


def counted(found: Sequence[Found], names: Sequence[str]) -> dict[str, int]:
    """Names said and found; other words said and wrong, and names heard in vain."""
    counts = dict.fromkeys(("names", "found", "others", "wrong", "in_vain"), 0)
    for one in found:
        said = normalise_sentence(one.trial.sentence or "").split()
        heard = normalise_sentence(one.hypotheses[0].text).split() if one.hypotheses else []
        steps = Levenshtein.opcodes(said, heard)
        wrong = {n for step in steps if step.tag in ("replace", "delete") for n in range(step.src_start, step.src_end)}
        others = [place for place, word in enumerate(said) if word not in names]
        if len(others) == len(said):
            counts["wrong"] += sum(step.dest_end - step.dest_start for step in steps if step.tag == "insert")
        else:
            counts["in_vain"] += sum(word in names and word not in said for word in heard)
        counts["names"] += len(said) - len(others)
        counts["found"] += sum(word in heard for word in said if word in names)
        counts["others"] += len(others)
        counts["wrong"] += len(wrong.intersection(others))
    return counts


def ms_a_word(lm: str, names: Sequence[str], lexicon: Lexicon) -> tuple[float, int]:
    """Processor time to add one name to a model, the median over names; and the words of the model."""
    model = load_word_model(lm)
    tree, took = build_tree(model), []
    for name in names:
        start = time.process_time()
        add_words(model, tree, Additions({name: lexicon[name][:1]}, {}))
        took.append(1000 * (time.process_time() - start))
    return float(np.median(took)), len(model.words)


def measure(setting: Setting, decoder: WordDecoder, names: Sequence[str], asked: argparse.Namespace) -> dict[str, Any]:
    lexicon, figures = read_lexicon(asked.lexicon), {}
    roots = {"names": asked.data, "others": asked.others}
    heard = {part: setting.heard(Path(root), decoder) for part, root in roots.items()}
    with TemporaryDirectory() as folder:
        for way, search in searches(names, lexicon, Path(folder)).items():
            setting.model = load_words(setting.lm, setting.model.labels, search)
            found = {part: setting.find(trials, decoder, search) for part, trials in heard.items()}
            figures[way] = {part: counted(trials, names) for part, trials in found.items()}
            print(decoder, way, figures[way], flush=True)
    return figures


def table(figures: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        f"{NAMES} names outside the lexicon of {figures['words']} words in 100 simulated sentences; "
        f"`python benchmarks/names.py`. To add one word takes {figures['ms_a_word']:.1f} ms at "
        f"{figures['large_words']} words (median of processor time).",
        "",
        "| decoder, noise | search | names found | other words wrong | % | without names: words wrong | % |",
        "|---" * 7 + "|",
    ]
    for title, ways in figures["ways"].items():
        for way, parts in ways.items():
            names, cells = parts["names"], []
            for part in (names, parts["others"]):
                wrong = part["wrong"] + part["in_vain"]
                cells += [f"{wrong} of {part['others']}", f"{100 * wrong / part['others']:.2f}"]
            lines.append(f"| {title} | {way} | {names['found']} of {names['names']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "lm", "lexicon", "data", "others"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--large", help="a language model of 60,000 words, to which adding a word is timed")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--decoders", nargs="+", default=["ctc"], choices=[d.value for d in WordDecoder])
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ensemble = load_ensemble(asked.run, None)
    checkpoint, lexicon = ensemble.recognisers[0].checkpoint, read_lexicon(asked.lexicon)
    model = load_word_model(asked.lm, checkpoint.labels)
    names = [name for name in CANDIDATES if name in lexicon and name not in model.places][:NAMES]
    if not Path(asked.data).exists():
        record(Path(asked.data), sentences_of(names, lexicon), checkpoint.sessions)
    file = kept.file_of("names", torch.device("cpu"))
    figures: dict[str, Any] = {"words": len(model.words), "ways": {}} | kept.read(file)
    figures["ms_a_word"], figures["large_words"] = ms_a_word(asked.large or asked.lm, names, lexicon)
    for decoder in asked.decoders:
        setting = Setting(ensemble, model, asked.lm, None, asked.noise)
        figures["ways"][f"{decoder}, {asked.noise:g}"] = measure(setting, WordDecoder(decoder), names, asked)
        kept.write(file, figures, table(figures))


if __name__ == "__main__":
    main()
