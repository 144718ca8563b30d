import pytest

from mode_ssm.errors import InputError
from mode_ssm.files import check_writable, replace_texts, replacing


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


def test_no_file_of_a_folder_is_replaced_before_all_are_written(tmp_path):
    folder = tmp_path / "new"
    replace_texts(folder, {"a": "1", "b": "2"})
    (folder / ".new.b").mkdir()  # where b would be written first
    with pytest.raises(InputError, match=r"new cannot be written \(.+\); give another output_dir\."):
        replace_texts(folder, {"a": "3", "b": "4"})
    assert sorted(path.name for path in folder.iterdir()) == [".new.b", "a", "b"]
    assert [(folder / name).read_text() for name in "ab"] == ["1", "2"]


def test_the_last_file_of_a_folder_is_replaced_last(tmp_path):
    (tmp_path / "a").mkdir()  # cannot be replaced by a file
    with pytest.raises(InputError, match="cannot be written"):
        replace_texts(tmp_path, {"a": "rows", "b": "their summary"})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("place", ["file", "file/in/it", "/proc/x"])
def test_a_folder_that_cannot_be_written_is_refused_beforehand(tmp_path, place):
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / place)
