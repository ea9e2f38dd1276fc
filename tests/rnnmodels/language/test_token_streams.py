"""Streams of documents, and the chunks that an epoch reads of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rnnmodels.language.token_streams import BOUNDARY, TokenStream, open_stream, reverse_documents, stream_of

DOCUMENTS = [np.arange(2, 7), np.arange(10, 13), np.arange(20, 29)]


def chunks_joined(stream: TokenStream, num_streams: int, **order: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and targets of all streams of an epoch, one after the other."""
    chunks = list(stream.batches(num_streams, **order))
    tokens = np.concatenate([chunk.tokens_TS for chunk in chunks])
    targets = np.concatenate([chunk.targets_TS for chunk in chunks])
    return tokens.T.ravel(), targets.T.ravel()


def test_boundaries_stand_before_and_after_each_of_several_documents() -> None:
    stream = stream_of(DOCUMENTS)
    assert stream.tokens.tolist() == [0, 2, 3, 4, 5, 6, 0, 10, 11, 12, 0, *range(20, 29), 0]
    assert [stream.targets_of(document).tolist() for document in range(3)][1] == [10, 11, 12, 0]


def test_a_single_document_has_no_boundary_after_it() -> None:
    assert stream_of(DOCUMENTS[:1]).tokens.tolist() == [0, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("num_streams", [1, 2, 3, 7])
def test_each_token_is_followed_by_its_target_across_chunks(num_streams: int) -> None:
    stream = stream_of(DOCUMENTS, bptt=2)
    tokens, targets = chunks_joined(stream, num_streams)
    assert tokens[: stream.num_rows].tolist() == stream.tokens[:-1].tolist()
    assert targets[: stream.num_rows].tolist() == stream.tokens[1:].tolist()
    for chunk in stream.batches(num_streams):
        assert (chunk.tokens_TS[1:] == chunk.targets_TS[:-1]).all()


def test_an_epoch_holds_each_document_whole_and_in_another_order() -> None:
    stream = stream_of(DOCUMENTS, bptt=4)
    texts = []
    for epoch in range(8):
        _, targets = chunks_joined(stream, 1, seed=3, epoch=epoch)
        texts.append(bytes(targets.astype(np.uint8)))
        assert all(bytes([*document.tolist(), BOUNDARY]) in texts[-1] for document in DOCUMENTS)
    assert len(set(texts)) > 1
    assert (
        chunks_joined(stream, 1, seed=3, epoch=0)[1].tobytes() == chunks_joined(stream, 1, seed=3, epoch=0)[1].tobytes()
    )


def test_a_single_document_is_begun_at_a_random_place() -> None:
    stream = stream_of([np.arange(2, 200)])
    starts = {int(chunks_joined(stream, 1, seed=1, epoch=epoch)[0][0]) for epoch in range(6)}
    assert len(starts) > 1
    tokens, _ = chunks_joined(stream, 1, seed=1, epoch=1)
    assert sorted(tokens)[:3] == [0, 2, 3]


def test_random_cuts_change_no_text_and_no_number_of_chunks() -> None:
    plain = stream_of([np.arange(2, 200)], bptt=16)
    random = TokenStream((), plain.tokens, plain.documents, 16, random_bptt=True)
    lengths = [len(chunk.tokens_TS) for chunk in random.batches(2, seed=1, epoch=1)]
    assert len(lengths) == random.num_batches(2) == plain.num_batches(2)
    assert len(set(lengths)) > 2
    assert chunks_joined(random, 2, seed=1, epoch=1)[0].tolist() == chunks_joined(plain, 2, seed=1, epoch=1)[0].tolist()


def test_only_the_first_chunk_of_an_epoch_begins_at_0() -> None:
    firsts = [chunk.first for chunk in stream_of(DOCUMENTS, bptt=3).batches(2)]
    assert firsts[0] == 0
    assert firsts == sorted(set(firsts))


def test_rows_of_a_chunk_count_its_tokens() -> None:
    stream = stream_of(DOCUMENTS, bptt=3)
    assert sum(len(chunk.row) for chunk in stream.batches(2)) == 2 * -(-stream.num_rows // 2)


def test_documents_are_read_backwards_between_their_boundaries() -> None:
    stream = stream_of(DOCUMENTS)
    turned = reverse_documents(stream.tokens, stream.documents.start)
    assert turned.tolist() == [0, 6, 5, 4, 3, 2, 0, 12, 11, 10, 0, *range(28, 19, -1), 0]
    single = stream_of(DOCUMENTS[:1])
    assert reverse_documents(single.tokens, single.documents.start).tolist() == [0, 6, 5, 4, 3, 2]


def test_a_stream_is_mapped_from_its_files(tmp_path: Path) -> None:
    stream = stream_of(DOCUMENTS)
    listed = {name: np.asarray(getattr(stream.documents, name)) for name in stream.documents.__dataclass_fields__}
    for name, columns in {"tokens": {"tokens": stream.tokens.astype(np.uint8)}, "documents": listed}.items():
        table = pa.table({column: pa.array(values) for column, values in columns.items()})
        with pa.OSFile(str(tmp_path / name), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    opened = open_stream(tmp_path / "tokens", tmp_path / "documents", bptt=5)
    assert opened.tokens.tolist() == stream.tokens.tolist()
    assert opened.documents.start.tolist() == stream.documents.start.tolist()
    assert len(opened.digest) == 64
    turned = open_stream(tmp_path / "tokens", tmp_path / "documents", bptt=5, backward=True)
    assert turned.targets_of(1).tolist() == [12, 11, 10, 0]


@pytest.mark.parametrize("num_steps", [1, 2, 33, 34, 65])
def test_random_cuts_leave_as_many_chunks_whatever_the_length(num_steps: int) -> None:
    plain = stream_of([np.arange(2, 2 + num_steps)], bptt=16)
    random = TokenStream((), plain.tokens, plain.documents, 16, random_bptt=True)
    for epoch in range(20):
        lengths = [len(chunk.tokens_TS) for chunk in random.batches(1, seed=1, epoch=epoch)]
        assert len(lengths) == random.num_batches(1)
        assert min(lengths) > 0
        assert sum(lengths) == num_steps
