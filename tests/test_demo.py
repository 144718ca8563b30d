"""The demo, cut short: simulated recordings, both stages, decoded phonemes, a picture."""

from mode_ssm.commands.demo import demo

SHORT = ["training.stages.0.epochs=1", "training.stages.1.epochs=1", "encoder.layers=1", "training.accelerator=cpu"]


def test_the_demo_shows_what_was_learnt(tmp_path, capsys):
    demo(tmp_path, SHORT)
    printed = capsys.readouterr().out
    assert printed.count("\n  said ") == printed.count("\n  rnnt ") == 5
    assert "val phoneme error rate, rnnt: " in printed
    (run,) = (tmp_path / "runs").iterdir()
    assert f"Picture:    {run / 'training.png'}" in printed
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")
