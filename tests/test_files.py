import pytest

from mode_ssm.errors import InputError
from mode_ssm.files import prepare_folder, replace_texts, replacing


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


def test_files_of_a_folder_are_all_replaced_or_none(tmp_path):
    replace_texts(tmp_path / "new", {"a": "1", "b": "2"})
    (tmp_path / "new" / ".new.b").mkdir()  # where b would be written first
    with pytest.raises(InputError, match=r"new cannot be written \(.+\); give another output_dir\."):
        replace_texts(tmp_path / "new", {"a": "3", "b": "4"})
    assert [(tmp_path / "new" / name).read_text() for name in "ab"] == ["1", "2"]


@pytest.mark.parametrize("place", ["file", "file/in/it", "/proc/x"])
def test_a_folder_that_cannot_be_written_is_refused_beforehand(tmp_path, place):
    (tmp_path / "file").write_text("")
    prepare_folder(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    with pytest.raises(InputError, match="cannot be written"):
        prepare_folder(tmp_path / place)
