"""What a simulation writes of a session: its trials as the T15 data set has them, and the truth of each beside them."""

from mode_ssm.labels import T15
from mode_ssm.simulation.articulation import ARTICULATORS
from mode_ssm.simulation.population import Population
from mode_ssm.simulation.session import RecordedTrial
from mode_ssm.t15.writing import Place, Said, SessionWriter


def write_population(files: SessionWriter, population: Population) -> None:
    columns = [*ARTICULATORS, *(f"{name} velocity" for name in ARTICULATORS)]
    files.add_arrays("population", {"columns": columns, "classes": list(T15.symbols)}, population._asdict())


def write_trial(files: SessionWriter, recorded: RecordedTrial) -> Place:
    """Only the truth says what is said in a test trial."""
    trial, utterance = recorded.trial, recorded.utterance
    said = Said(trial.labels, trial.sentence)
    is_test = trial.split == "test"
    place = files.add(trial.split, recorded.features, trial.block, trial.number, None if is_test else said)
    files.add_truth(place, utterance.alignment, utterance.mode.name, said if is_test else None)
    return place
