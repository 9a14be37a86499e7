"""Places that results are written to, checked before the work."""

import pytest

from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.support.errors import FitError

ENDINGS = (".csv", ".parquet")


def test_good_places_pass_and_nothing_is_left(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    for name in ("new.csv", "old.csv", "NEW.PARQUET"):
        check_file(tmp_path / name, ENDINGS, FitError)
    for name in ("", "new", "new/and/deeper"):
        check_folder(tmp_path / name, FitError)
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.nc", "does not end in .csv or .parquet"),
        ("out", "does not end in"),
        ("folder.csv", "is a folder"),
        ("nowhere/out.csv", "there is no folder"),
        ("file.csv/out.csv", "there is no folder"),
    ],
)
def test_bad_files(tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file.csv").write_text("")
    with pytest.raises(FitError, match=message):
        check_file(tmp_path / name, ENDINGS, FitError)


@pytest.mark.parametrize("length", [250, 300])
def test_names_that_are_too_long_are_refused_before_the_work(tmp_path, length):
    """The name that is written first is a little longer than the one asked for."""
    with pytest.raises(FitError, match=r"cannot be written \(File name too long"):
        check_file(tmp_path / f"{'x' * (length - 4)}.csv", ENDINGS, FitError)
    with pytest.raises(FitError, match="cannot be written"):
        check_folder(tmp_path / ("x" * 300) / "deeper", FitError)


def test_bad_folders(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below", "file/far/below"):
        with pytest.raises(FitError, match="file is not a folder"):
            check_folder(tmp_path / name, FitError)


def test_places_that_refuse_to_be_written_to(tmp_path, monkeypatch):
    import tempfile

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(FitError, match="No space left on device"):
        check_file(tmp_path / "out.csv", ENDINGS, FitError)
    with pytest.raises(FitError, match="No space left on device"):
        check_folder(tmp_path / "new", FitError)
