"""Encodings that are proposed for bytes: those of the script, none for damage."""

import pytest

from tasks.sources.encodings import propose_encodings, remedy_for

TEXTS = {
    "gb18030": "这部 电影 很 好看 , 我 喜欢 它",
    "big5": "這部 電影 很 好看 , 我 喜歡 它",
    "cp932": "この映画はとても面白かったです",
    "cp949": "이 영화는 정말 재미있었어요",
    "cp1251": "Это хороший фильм, мне понравилось",
    "cp1253": "Αυτή η ταινία είναι πολύ καλή",
    "cp1252": "Le café était fermé à l'été, où aller?",
}


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("num_lines", [3, 50])
def test_the_encoding_of_the_script_is_proposed_first(encoding, num_lines):
    assert propose_encodings(f"{TEXTS[encoding]},label\n".encode(encoding) * num_lines)[0] == encoding


def test_utf_8_is_proposed_for_utf_8_and_nothing_for_a_damaged_byte_in_it():
    text = "".join(TEXTS.values()).encode()

    assert propose_encodings(text) == ["utf-8"]
    assert propose_encodings(text + b"\xff") == propose_encodings(b"plain") == propose_encodings(b"") == []


def test_no_encoding_is_proposed_that_does_not_read_the_sample():
    words = "满意 服务 位置 舒服 干净 热情 新鲜 周到 好吃 香\n".encode("gb18030") * 30

    with pytest.raises(UnicodeDecodeError):
        words.decode("euc_jp")  # although they are in a larger set, EUC-JIS-2004
    assert propose_encodings(words) == ["gb18030"]


def test_a_remedy_asks_for_a_look_at_the_rows():
    assert remedy_for([]) == (
        "set encoding to the one in which the file was written, then check a few rows; or clean the file."
    )
    assert remedy_for(["gb18030", "big5"]) == (
        'set encoding = "gb18030" (the bytes also fit "big5"), then check a few rows; or clean the file.'
    )
