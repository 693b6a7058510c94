"""Sentences of everyday words from a small grammar: told, spoken in quotation marks, and aside in brackets.

What is told is about others and the past, what is spoken about you, me and now. Some words are of the other kind, and
some are invented, so that the words alone do not say which of the two a sentence is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def listed(words: str) -> tuple[str, ...]:
    """Return words that stand in one text."""
    return tuple(words.split())


PEOPLE = listed("Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Mary Nora Oscar Paul Rosa Sam Tom Vera")
OTHERS = ("he", "she", "the old man", "the young woman", "the teacher", "the doctor", "a boy", "a girl", "the farmer")
OUTSIDE = listed(
    "boat bridge cloud field flower garden hill horse lake moon river road sea sky star stone tree village wind"
)
AT_HOME = listed(
    "apple bed book bottle box bread cake chair clock coat cup egg glass hat key lamp letter picture table"
)
LARGE = listed("bright cold dark deep green high long quiet white wide wild")
SMALL = listed("big clean full little new nice old poor red small sweet")
PLACES = listed("at behind beside from in into near on over past to under")
TOOK = listed(
    "bought broke brought built carried caught chose closed cut drew dropped felt forgot found gave held hid kept knew"
    " left lifted lost loved made met moved opened painted pulled pushed put reached saw sold took touched turned"
    " wanted washed watched wore wrote"
)
WENT = listed(
    "came climbed danced drove fell flew jumped lived ran rested sang sat slept stayed stood swam waited walked"
)
WHEN = ("again", "alone", "at last", "early", "in the evening", "later", "quickly", "slowly", "that day", "then", "too")
DO = listed(
    "ask bring buy carry choose clean close draw eat find forget give help keep know like lose love make meet need open"
    " paint read see sell send show take think try use want wash watch wear write"
)
SAID = ("said", "asked", "answered", "called", "cried", "replied", "whispered")
SHORT = ("yes", "no", "please", "good morning", "thank you", "of course", "come in", "look", "listen", "not now")
SYLLABLES = [a + b for a in (*"bdfgklmnprstvz", "st") for b in "aeiou"]
INVENTED = 0.06  # the share of things that are invented words
MISPLACED = 0.1  # the share of things that belong to the other kind of sentence


class Writer:
    """Writes passages, with random numbers of its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def passage(self, length: int) -> str:
        """Return sentences of as many letters; the last one is cut."""
        text = ""
        while len(text) < length:
            text += (self.spoken() if self.happens(0.55) else self.told()) + " "
        return text[:length]

    def pick(self, words: Sequence[str]) -> str:
        """Return one of the words."""
        return words[int(self.rng.integers(len(words)))]

    def happens(self, share: float) -> bool:
        """Return True in a share of the calls."""
        return bool(self.rng.random() < share)

    def told(self) -> str:
        """Return a sentence that is told: some with another clause, with brackets, or with a quoted name."""
        clause = self.told_clause()
        if self.happens(0.25):
            clause += f", {self.pick(['and', 'but', 'so', 'because', 'when'])} {self.told_clause()}"
        if self.happens(0.2):
            clause += f" {self.aside()}"
        if self.happens(0.2):
            clause += f' {self.pick(["called it", "and read", "near the sign", "with the word"])} "{self.name()}"'
        return f"{capital(clause)}{self.pick('....!')}"

    def spoken(self) -> str:
        """Return a sentence in which somebody speaks."""
        who = self.pick(PEOPLE if self.happens(0.6) else OTHERS)
        said = f"{self.pick(SAID)} {who}" if self.happens(0.5) else f"{who} {self.pick(SAID)}"
        kind = int(self.rng.integers(4))
        if kind == 0:
            return f"{self.speech(',!')} {said}."
        if kind == 1:
            return f"{capital(who)} {self.pick(SAID)}, {self.speech('.!')}"
        if kind == 2:
            return f"{self.speech(',')} {said}, {self.speech('.!')}"
        return self.speech(".!")

    def told_clause(self) -> str:
        """Return a clause about others, in the past."""
        who = self.pick(PEOPLE if self.happens(0.4) else OTHERS)
        did = self.pick(TOOK) if self.happens(0.5) else f"{self.pick(WENT)} {self.pick(PLACES)}"
        clause = f"{who} {did} {self.pick(['the', 'a', 'his', 'her', 'their'])} {self.thing(spoken=False)}"
        return f"{clause} {self.pick(WHEN)}" if self.happens(0.2) else clause

    def spoken_clause(self) -> str:
        """Return a clause about you, me and now; a question has its mark."""
        action = (
            f"{self.pick(DO)} {self.pick(['my', 'your', 'our', 'this', 'no', 'some', 'the'])} {self.thing(spoken=True)}"
        )
        kind = int(self.rng.integers(7))
        if kind == 0:
            return f"{self.pick(['do', 'can', 'will', 'would', 'must'])} {self.pick(['you', 'we', 'I'])} {action}?"
        if kind == 1:
            return f"please {action}"
        if kind == 2:
            how = f"{self.pick(['not', 'very', 'so', 'too'])} {self.pick(SMALL)}"
            return f"{self.pick(['you are', 'we are', 'I am', 'it is'])} {how}"
        if kind == 3:
            return self.told_clause()
        return f"{self.pick(['I', 'you', 'we'])} {self.pick(['', 'can ', 'will ', 'must ', 'do not '])}{action}"

    def speech(self, ends: str) -> str:
        """Return what somebody says, in quotation marks: one of `ends` is its last letter, or a question's mark."""
        count = int(self.rng.integers(0, 4))
        clauses = [self.spoken_clause() for _ in range(count)] if count else [self.pick(SHORT)]
        marks = [self.pick(".!") for _ in clauses[1:]] + [self.pick(ends)]
        pairs = zip(clauses, marks, strict=True)
        sentences = [capital(clause) + ("" if clause.endswith("?") else mark) for clause, mark in pairs]
        return f'"{" ".join(sentences)}"'

    def aside(self) -> str:
        """Return something in brackets."""
        if self.happens(0.3):
            return f"({self.told_clause()})"
        return f"({self.pick(PLACES) + ' the' if self.happens(0.5) else 'a'} {self.thing(spoken=False)})"

    def name(self) -> str:
        """Return a name of a thing."""
        things = [self.thing(spoken=self.happens(0.5)) for _ in "ab"]
        return f"the {things[0]} {self.pick(PLACES)} the {things[1]}" if self.happens(0.4) else things[0]

    def thing(self, *, spoken: bool) -> str:
        """Return a thing, some with an adjective."""
        if self.happens(INVENTED):
            return "".join(self.pick(SYLLABLES) for _ in range(int(self.rng.integers(2, 4))))
        things, kinds = (AT_HOME, SMALL) if spoken != self.happens(MISPLACED) else (OUTSIDE, LARGE)
        return f"{self.pick(kinds)} {self.pick(things)}" if self.happens(0.4) else self.pick(things)


def capital(text: str) -> str:
    """Return a text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def inside_quotes(text: str) -> list[bool]:
    """Return for each letter whether a text stands inside quotation marks once it was read."""
    inside, places = False, list[bool]()
    for letter in text:
        inside ^= letter == '"'
        places.append(inside)
    return places


def spoken_in_capitals(text: str) -> str:
    """Return a text with what is inside its quotation marks in capitals."""
    return "".join(
        letter.upper() if inside else letter for letter, inside in zip(text, inside_quotes(text), strict=True)
    )
