"""Saved models and training checkpoints: exact, hash-checked, with a fallback."""

import json
import logging

import pytest
import torch

from rnnmodels import durable
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.training import checkpoint
from rnnmodels.training.checkpoint import (
    CheckpointFolder,
    DamagedCheckpointError,
    MismatchedCheckpointError,
    Snapshot,
    load_model,
    save_model,
)

TOKENS = torch.randint(2, 30, (3, 9), generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([9, 2, 5])
IDENTITY = {"training": {"learning_rate": 0.002, "seed": 1}, "data": {"train": "aa", "valid": "bb"}}


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "checkpoints", IDENTITY)


def snapshot(epoch):
    return Snapshot(epoch, {"model/w": torch.full((4,), float(epoch))}, {"history": [epoch], "share": 0.1})


@pytest.mark.numeric
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_loaded_model_gives_bitwise_equal_logits(make_model, tmp_path, cell):
    model = make_model(cell=cell, bidirectional=True, pooling="attention").eval()
    save_model(model, tmp_path / "model")
    loaded = load_model(SequenceClassifier, tmp_path / "model")
    assert not loaded.training
    assert torch.equal(loaded(TOKENS, LENGTHS), model(TOKENS, LENGTHS))
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


def test_a_changed_weight_file_is_refused(make_model, tmp_path):
    save_model(make_model(), tmp_path)
    flip_bit(tmp_path / "model.safetensors", 2000)
    with pytest.raises(ValueError, match=r"model\.safetensors: its SHA-256 differs from that in model\.json$"):
        load_model(SequenceClassifier, tmp_path)


def test_a_model_of_a_newer_format_is_refused(make_model, tmp_path):
    save_model(make_model(), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text()) | {"format": 2}
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(MismatchedCheckpointError, match=r"written in format 2, this release reads 1$"):
        load_model(SequenceClassifier, tmp_path)


def test_the_newest_two_checkpoints_are_kept_and_the_newest_is_read(folder):
    for epoch in (1, 2, 3):
        folder.save(snapshot(epoch))
    assert [path.name[:11] for path in sorted(folder.path.iterdir())] == ["epoch-00002", "epoch-00003"]
    loaded = folder.load_newest()
    assert (loaded.epoch, loaded.state) == (3, snapshot(3).state)
    assert torch.equal(loaded.tensors["model/w"], snapshot(3).tensors["model/w"])


def test_without_any_checkpoint_there_is_nothing_to_resume(folder):
    assert folder.load_newest() is None


def test_a_checkpoint_cut_at_any_length_falls_back_to_the_previous(folder, caplog):
    folder.save(snapshot(1))
    folder.save(snapshot(2))
    newest = max(folder.path.iterdir())
    content = newest.read_bytes()
    for length in range(0, len(content), 7):
        newest.write_bytes(content[:length])
        assert folder.load_newest().epoch == 1
    newest.write_bytes(content)
    assert folder.load_newest().epoch == 2


def test_any_flipped_bit_is_found_and_the_fallback_is_told(folder, caplog):
    folder.save(snapshot(1))
    folder.save(snapshot(2))
    newest = max(folder.path.iterdir())
    for position in range(0, newest.stat().st_size, 11):
        flip_bit(newest, position)
        with caplog.at_level(logging.WARNING):
            assert folder.load_newest().epoch == 1
        assert caplog.messages[-1] == f"Checkpoint {newest} is damaged; trying the one before."
        flip_bit(newest, position)
    assert folder.load_newest().epoch == 2


def test_without_any_intact_checkpoint_resuming_is_refused_and_the_files_stay(folder):
    folder.save(snapshot(1))
    folder.save(snapshot(2))
    files = sorted(folder.path.iterdir())
    for path in files:
        flip_bit(path, 100)
    with pytest.raises(DamagedCheckpointError, match=r"none of .* is intact$"):
        folder.load_newest()
    assert sorted(folder.path.iterdir()) == files


def test_a_checkpoint_of_another_run_is_refused_with_the_differing_fields(folder):
    folder.save(snapshot(1))
    other = {"training": {"learning_rate": 0.001, "seed": 1}, "data": {"train": "cc", "valid": "bb"}, "classes": 2}
    with pytest.raises(MismatchedCheckpointError) as caught:
        CheckpointFolder(folder.path, other).load_newest()
    assert str(caught.value).endswith(
        "is of another run: classes was None, is 2; data.train was 'aa', is 'cc'; "
        "training.learning_rate was 0.002, is 0.001"
    )


def test_a_checkpoint_of_a_newer_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    folder.save(snapshot(1))
    monkeypatch.undo()
    with pytest.raises(MismatchedCheckpointError, match=r"written in format 2, this release reads 1$"):
        folder.load_newest()


def test_a_failed_write_leaves_the_previous_checkpoint_and_its_remains_are_swept(folder, monkeypatch):
    folder.save(snapshot(1))

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        folder.save(snapshot(2))
    monkeypatch.undo()
    assert folder.load_newest().epoch == 1
    assert list(folder.path.glob("*.tmp"))
    folder.save(snapshot(2))
    assert not list(folder.path.glob("*.tmp"))


def test_a_repeated_epoch_replaces_a_damaged_one(folder):
    folder.save(snapshot(1))
    folder.save(snapshot(2))
    flip_bit(max(folder.path.iterdir()), 100)
    folder.save(snapshot(2))
    assert folder.load_newest().epoch == 2


def flip_bit(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
