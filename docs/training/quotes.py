"""Train the example `quotes`: an LSTM that predicts the next character of a text with quotations.

With gatewise and PyTorch installed:

    python docs/training/quotes.py src/gatewise/examples/trained

The script generates sentences of common words. Inside quotation marks, words are spelled backwards: the next character
depends on whether a quotation is open. The same mark opens and closes it.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import gatewise as gw
from gatewise.interop.torch import read

WORDS = "a the old river boat went down to sea and home when rain came by night we saw his house near an empty road"
WORDS += " she told them that it would be late now some were young but you know how far from here most people live"
VOCABULARY = sorted(set(WORDS.split()))
CHARACTERS = ' ."' + "".join(sorted(set(WORDS) - {" "}))
EMBEDDED, HIDDEN, WINDOW, WARM_UP, BATCH, UPDATES = 10, 40, 150, 30, 32, 3000


def words(count: int, rng: np.random.Generator) -> str:
    """Return words with spaces between them."""
    return " ".join(rng.choice(VOCABULARY, count))


def passage(rng: np.random.Generator) -> str:
    """Return a sentence, half of the time with a quotation."""
    if rng.random() < 0.5:
        return words(rng.integers(3, 12), rng) + ". "
    spoken = " ".join(word[::-1] for word in words(rng.integers(3, 14), rng).split())
    before, after = words(rng.integers(1, 5), rng), words(rng.integers(1, 8), rng)
    return f'{before} "{spoken}" {after}. '


def text(characters: int, rng: np.random.Generator) -> str:
    """Return so many characters of sentences."""
    out = ""
    while len(out) < characters:
        out += "".join(passage(rng) for _ in range(1000))
    return out[:characters]


def main(folder: Path) -> None:
    """Train the model, and write it and 600 characters of data into a folder."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    number = {character: place for place, character in enumerate(CHARACTERS)}
    corpus = torch.tensor([number[character] for character in text(500_000, rng)])
    embedding, lstm = torch.nn.Embedding(len(CHARACTERS), EMBEDDED), torch.nn.LSTM(EMBEDDED, HIDDEN)
    head = torch.nn.Linear(HIDDEN, len(CHARACTERS))
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for update in range(UPDATES):
        starts = rng.integers(0, len(corpus) - WINDOW - 1, size=BATCH)
        read_characters = corpus[starts[None] + np.arange(WINDOW + 1)[:, None]]
        scores = head(lstm(embedding(read_characters[:-1]))[0])[WARM_UP:]
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), read_characters[1:][WARM_UP:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if update % 200 == 0:
            print(f"update {update}: {loss.item() / np.log(2):.4f} bits a character", flush=True)

    network = gw.Network(
        read(lstm),
        embedding=embedding.weight.detach().numpy(),
        head=gw.Linear(head.weight.detach().numpy(), head.bias.detach().numpy()),
        labels=gw.Labels(outputs=list(CHARACTERS)),
    )
    gw.save(network, folder / "quotes.safetensors", overwrite=True)
    sample = text(600, np.random.default_rng(1))
    tokens = np.array([number[character] for character in sample])
    np.save(folder / "quotes.npy", tokens.astype(np.uint8))
    (folder / "quotes.txt").write_text(sample, encoding="utf-8")
    np.save(folder / "quotes_answers.npy", head(lstm(embedding(torch.tensor(tokens)))[0]).detach().numpy())
    scores = network.trace(tokens).output
    scores = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    print(f"bits a character in the sample: {-scores[np.arange(599), tokens[1:]].mean() / np.log(2):.3f}")
    inside = np.cumsum([character == '"' for character in sample]) % 2
    print(gw.insight.probe(network.trace(tokens)[0], inside, name="being inside a quotation"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
