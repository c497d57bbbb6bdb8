import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onrecord.model import words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Grüße aus ZÜRICH", ["grusse", "aus", "zurich"]),
        ("naïve café — déjà vu", ["naive", "cafe", "deja", "vu"]),
        ("Łódź, Kraków; Søren", ["lodz", "krakow", "soren"]),
        ("İstanbul \u0131slak", ["istanbul", "islak"]),
        ("Ἀθῆναι ΟΔΟΣ", ["αθηναι", "οδοσ"]),
        ("Всё ещё", ["все", "еще"]),
        ("ﬁne ①２３ m²", ["fine", "123", "m2"]),
        ("jo.hn@example.com", ["jo", "hn", "example", "com"]),
        ("https://example.com/a_b?c=1", ["https", "example", "com", "a", "b", "c", "1"]),
        ("O'Neill\u2019s 3.14", ["o", "neill", "s", "3", "14"]),
        ("रिपोर्ट हिन्दी में", ["रिपोर्ट", "हिन्दी", "में"]),
        ("كِتَاب ١٢٣ الـــكتاب", ["كتاب", "123", "الكتاب"]),
        ("שָׁלוֹם", ["שלום"]),
        ("می‌خواهم", ["میخواهم"]),
        ("한국어 문서", ["한국어", "문서"]),
        ("東京都", ["東京", "京都", "都"]),
        ("2024年に", ["2024", "年に", "に"]),
        ("ｶﾞｲﾄﾞ", ["ガイ", "イド", "ド"]),
        ("ไทย", ["ไท", "ทย", "ย"]),
        ("soft\u00adhyphen 👍🏽 ❤️", ["softhyphen"]),
        ("", []),
    ],
)
def test_a_text_has_these_words(text: str, said: list[str]) -> None:
    assert words.words(text) == said
    assert words.words(unicodedata.normalize("NFD", text)) == said
    assert words.words(unicodedata.normalize("NFC", text)) == said


def test_of_a_long_word_so_many_letters_count() -> None:
    assert words.words("x" * 5000) == ["x" * words.LONGEST]
    assert words.words("ж" * 5000) == ["ж" * words.LONGEST]


@pytest.mark.parametrize(
    ("asked", "text", "there"),
    [
        ("transfer pension", "Your pension was transferred", False),
        ("pension transfer", "Your pension was transferred", True),
        ("transfer pension", "Your pensions: a transfer", True),
        ("transfer your", "Your pension was transferred", False),
        ("CAFE", "le café", True),
        ('"value has"', "The value has arrived", True),
        ('"value arrived"', "The value has arrived", False),
        ('"the valu"', "The value has arrived", False),
        ("“value has”", "The value has arrived", True),
        ("has 'the value", "The value has arrived", True),
        ('value "has', "The value has arrived", True),
        ("john@example.com", "write to jo.john@example.com", True),
        ("john@example.com", "john and example of com", False),
        ("3.14", "14 and 3", False),
        ("京都", "東京都庁", True),
        ("都", "東京都", True),
        ("京", "東京", True),
        ("東京都", "東京と京都", False),
        ("東京都", "住所は東京都です", True),
        ("京都 2024", "2024年、東京都で", True),
        ("2024年", "2024年に", True),
        ("AND OR NOT", "and or nothing", True),
        ("value*", "The value has arrived", True),
        ("-value", "The value has arrived", True),
        ("text:value", "The value has arrived", False),
        ("x" * 70, "x" * 66, True),
    ],
)
def test_a_query_is_in_a_text_or_not(asked: str, text: str, there: bool) -> None:  # noqa: FBT001 - a row of the table
    query = words.parse(asked)
    assert query.terms
    assert query.is_in([text]) is there
    assert by_index(query, [text]) is there


@pytest.mark.parametrize("asked", ["", "   ", '""', "!?", "'", "👍", "* - ( )", "\u200d", "_"])
def test_a_query_without_a_word_has_no_terms(asked: str) -> None:
    assert words.parse(asked).terms == ()


def test_words_may_stand_in_different_texts_of_a_message_but_not_a_phrase() -> None:
    texts = ["See page three", "charges.pdf"]
    assert words.parse("charges page").is_in(texts)
    assert not words.parse('"three charges"').is_in(texts)


def test_the_index_is_asked_for_few_words_and_the_rest_is_looked_at() -> None:
    long = words.parse(" ".join(f"w{number}" for number in range(100)))
    assert len(long.needed()) == words.NEEDED_MOST
    assert long.needs_look
    assert not words.parse("two words").needs_look
    assert not words.parse("京都").needs_look
    assert words.parse('"two words"').needs_look
    assert words.parse("東京都").needs_look


# -- against a scan of the texts, written another way ---------------------------------------------


def by_index(query: words.Query, texts: list[str]) -> bool:
    """Whether a message is found: by words of the index, and a look where that is needed."""
    known = {word for text in texts for word in words.words(text)}
    for word, is_beginning in query.needed():
        fits = any(one.startswith(word) for one in known) if is_beginning else word in known
        if not fits:
            return False
    return query.is_in(texts) if query.needs_look else True


def spell(text: str) -> str:
    """Spell a text as runs: ⟨words⟩, and characters of scripts without spaces as they are."""
    runs: list[str] = []
    before = ""
    for letter in words.fold(text):
        category = unicodedata.category(letter)
        name = unicodedata.name(letter, "")
        if name.startswith(("CJK UNIFIED", "THAI CHARACTER", "HIRAGANA LETTER")):
            kind = "bare"
        elif category[0] in "LN" or (category[0] == "M" and before == "word"):
            kind = "word"
        else:
            kind = ""
        if kind and kind == before:
            runs[-1] += letter
        elif kind:
            runs.append(letter if kind == "bare" else f"⟨{letter}")
        if before == "word" and kind != "word":
            place = -2 if kind else -1
            runs[place] += "⟩"
        before = kind
    if before == "word":
        runs[-1] += "⟩"
    return "|".join(runs)


def scanned(asked: str, text: str) -> bool:
    """Find what is asked for by looking through the spelled text."""
    parts = asked.split('"')
    phrases = []
    for number, part in enumerate(parts):
        quoted = number % 2 == 1 and number < len(parts) - 1
        phrases += [spell(chunk) for chunk in ([part] if quoted else part.split())]
    phrases = [one for one in phrases if one]
    if phrases and not asked.rstrip().endswith('"'):
        phrases[-1] = phrases[-1].removesuffix("⟩")
    return all(phrase in spell(text) for phrase in phrases)


LETTERS = "aäbB1 .'-éж東京都のไทยि"
TEXTS = st.text(st.sampled_from(LETTERS), max_size=30)
ASKED = st.text(st.sampled_from(LETTERS + '"'), max_size=8)


@settings(max_examples=600, deadline=None)
@given(TEXTS, ASKED)
@example("東京", "東")
@example("a東 b", '"東 b"')
def test_what_is_found_is_what_a_scan_finds(text: str, asked: str) -> None:
    query = words.parse(asked)
    if query.terms:
        assert query.is_in([text]) is scanned(asked, text)
        assert by_index(query, [text]) is scanned(asked, text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_words_are_letters_marks_and_digits_and_fold_to_themselves(text: str) -> None:
    for word in words.words(text):
        # Planes 2 and 3 are for ideographs, also those that our Unicode does not know yet.
        assert all(unicodedata.category(one)[0] in "LMN" or one >= "\U00020000" for one in word)
        assert word == words.fold(word)
        assert 0 < len(word) <= words.LONGEST
