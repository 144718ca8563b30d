import pytest

from mode_ssm.files import replacing


def write(path, *words):
    with replacing(path) as beside, beside.open("w") as file:
        for word in words:
            file.write(word)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "words.txt"
    write(path, "old")
    with pytest.raises(TypeError):
        write(path, "ne", 3)
    assert [p.name for p in tmp_path.iterdir()] == ["words.txt"]
    assert path.read_text() == "old"
    write(path, "n", "ew")
    assert path.read_text() == "new"
