"""Train the example `agreement`: an LSTM that predicts the next word where a verb agrees with a distant noun.

With gatewise and PyTorch installed:

    python docs/training/agreement.py src/gatewise/examples/trained

The script generates sentences after Lakretz et al. (2019), such as "the boys near the car greet the farmer". Nouns
between the subject and its verb may have the other number.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import gatewise as gw
from gatewise.interop.torch import read

NOUNS = ["boy", "girl", "farmer", "actor", "car", "tree", "dog", "aunt"]
VERBS = ["greet", "know", "see", "like", "hear", "watch"]
BETWEEN = ["near", "behind", "beside", "above"]
WORDS = [".", "the", *BETWEEN, "often", "today"]
WORDS += [noun + ending for noun in NOUNS for ending in ("", "s")]
WORDS += VERBS
WORDS += ["greets", "knows", "sees", "likes", "hears", "watches"]
EMBEDDED, HIDDEN, WINDOW, WARM_UP, BATCH, UPDATES = 12, 32, 60, 10, 32, 1500


def sentence(rng: np.random.Generator, between: int) -> list[str]:
    """Return a sentence whose subject and verb have a number of nouns between them."""
    plural = rng.random() < 0.5
    words = ["the", rng.choice(NOUNS) + "s" * plural]
    for _ in range(between):
        words += [rng.choice(BETWEEN), "the", rng.choice(NOUNS) + "s" * (rng.random() < 0.5)]
    if rng.random() < 0.2:
        words.append("often")
    verb = rng.choice(VERBS)
    words.append(verb if plural else verb + ("es" if verb == "watch" else "s"))
    words += ["the", rng.choice(NOUNS) + "s" * (rng.random() < 0.5)]
    if rng.random() < 0.2:
        words.append("today")
    return [*words, "."]


def text(words: int, rng: np.random.Generator) -> list[str]:
    """Return at least so many words of sentences with 0 to 3 nouns between subject and verb."""
    out: list[str] = []
    while len(out) < words:
        out += sentence(rng, rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))
    return out


def main(folder: Path) -> None:
    """Train the model, and write it and 400 words of data into a folder."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    number = {word: place for place, word in enumerate(WORDS)}
    corpus = torch.tensor([number[word] for word in text(200_000, rng)])
    embedding, lstm = torch.nn.Embedding(len(WORDS), EMBEDDED), torch.nn.LSTM(EMBEDDED, HIDDEN)
    head = torch.nn.Linear(HIDDEN, len(WORDS))
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for update in range(UPDATES):
        starts = rng.integers(0, len(corpus) - WINDOW - 1, size=BATCH)
        words = corpus[starts[None] + np.arange(WINDOW + 1)[:, None]]
        scores = head(lstm(embedding(words[:-1]))[0])[WARM_UP:]
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), words[1:][WARM_UP:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}: {loss.item() / np.log(2):.4f} bits a word", flush=True)

    network = gw.Network(
        read(lstm),
        embedding=embedding.weight.detach().numpy(),
        head=gw.Linear(head.weight.detach().numpy(), head.bias.detach().numpy()),
        labels=gw.Labels(outputs=WORDS),
    )
    gw.save(network, folder / "agreement.safetensors", overwrite=True)
    sample = text(400, np.random.default_rng(1))[:400]
    tokens = np.array([number[word] for word in sample])
    np.save(folder / "agreement.npy", tokens.astype(np.uint8))
    (folder / "agreement.txt").write_text("\n".join(sample) + "\n", encoding="utf-8")
    np.save(folder / "agreement_answers.npy", head(lstm(embedding(torch.tensor(tokens)))[0]).detach().numpy())
    scores = network.trace(tokens).output
    scores = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    print(f"bits a word in the sample: {-scores[np.arange(399), tokens[1:]].mean() / np.log(2):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
