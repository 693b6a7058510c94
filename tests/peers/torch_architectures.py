"""Ordinary networks in PyTorch: what people put before, between and after their LSTMs.

Each architecture is a function that returns a module in evaluation mode, and the inputs of one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

BATCH, TIME, INPUTS, HIDDEN, OUTPUTS, VOCABULARY = 2, 6, 3, 5, 2, 11
Architecture = Callable[[], tuple[Any, tuple[Any, ...]]]
ARCHITECTURES: dict[str, Architecture] = {}


def lstm(inputs=INPUTS, hidden=HIDDEN, **options):
    return nn.LSTM(inputs, hidden, batch_first=True, **options)


def sequences(features=INPUTS, steps=TIME):
    return torch.randn(BATCH, steps, features)


def tokens():
    return torch.randint(0, VOCABULARY, (BATCH, TIME))


def architecture(*make_inputs):
    """Register a module class; its inputs are made by `make_inputs`, by default one sequence of features."""

    def register(kind):
        def build():
            torch.manual_seed(0)
            module = kind().eval()
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.4)
            return module, tuple(make() for make in make_inputs or (sequences,))

        ARCHITECTURES[kind.__name__] = build
        return kind

    return register


class WithLSTM(nn.Module):
    """A module with one LSTM and a linear layer, which most architectures here have."""

    def __init__(self, inputs=INPUTS, hidden=HIDDEN, read=None, **options):
        super().__init__()
        self.lstm = lstm(inputs, hidden, **options)
        self.head = nn.Linear(read or hidden * (1 + self.lstm.bidirectional), OUTPUTS)


# What reads the LSTM.


@architecture()
class EveryStep(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[0])


@architecture()
class LastStep(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


@architecture()
class FinalState(WithLSTM):
    def __init__(self):
        super().__init__(num_layers=2, dropout=0.3)

    def forward(self, x):
        return self.head(self.lstm(x)[1][0][-1])


@architecture()
class BothFinalStates(WithLSTM):
    def __init__(self):
        super().__init__(bidirectional=True)

    def forward(self, x):
        h = self.lstm(x)[1][0]
        return self.head(torch.cat([h[-2], h[-1]], dim=1))


@architecture()
class CellStateRead(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[1][1].squeeze(0))


@architecture()
class BidirectionalTagger(WithLSTM):
    def __init__(self):
        super().__init__(bidirectional=True, num_layers=2)

    def forward(self, x):
        return F.log_softmax(self.head(self.lstm(x)[0]), dim=-1)


@architecture()
class MeanPooling(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[0].mean(1))


@architecture()
class MaxPooling(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[0].max(dim=1).values)


@architecture()
class ThreePoolings(WithLSTM):
    def __init__(self):
        super().__init__(read=3 * HIDDEN)

    def forward(self, x):
        y, (h, _) = self.lstm(x)
        return self.head(torch.cat([y.mean(1), y.amax(1), h[-1]], dim=-1))


@architecture()
class AdaptivePooling(WithLSTM):
    def forward(self, x):
        return self.head(F.adaptive_avg_pool1d(self.lstm(x)[0].transpose(1, 2), 1).flatten(1))


@architecture()
class AttentionPooling(WithLSTM):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, x):
        y = self.lstm(x)[0]
        weights = torch.softmax(self.score(torch.tanh(y)), dim=1)
        return self.head((weights * y).sum(1))


@architecture()
class AttentionToTheLast(WithLSTM):
    def __init__(self):
        super().__init__(read=2 * HIDDEN)

    def forward(self, x):
        y, (h, _) = self.lstm(x)
        query = h[-1].unsqueeze(2)
        weights = F.softmax(torch.bmm(y, query).squeeze(2), dim=1)
        context = torch.bmm(weights.unsqueeze(1), y).squeeze(1)
        return self.head(torch.cat((context, h[-1]), dim=1))


@architecture()
class SelfAttention(WithLSTM):
    def __init__(self):
        super().__init__(hidden=6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        y = self.lstm(x)[0]
        return self.head(y + self.attention(y, y, y, need_weights=False)[0])


@architecture()
class EverySecondStep(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x)[0][:, ::2])


@architecture()
class ResidualHead(WithLSTM):
    def __init__(self):
        super().__init__()
        self.norm, self.hidden = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x):
        y = self.lstm(x)[0]
        return self.head(self.norm(y + F.gelu(self.hidden(y))))


@architecture()
class DeepHead(WithLSTM):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(HIDDEN, 7), nn.ELU(), nn.Dropout(0.2), nn.Linear(7, 4), nn.PReLU(), nn.Linear(4, 2)
        )

    def forward(self, x):
        return self.mlp(self.lstm(x)[0][:, -1, :])


@architecture()
class NormalisedHead(WithLSTM):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.norm.running_mean.uniform_(-0.5, 0.5)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.head(self.norm(self.lstm(x)[0][:, -1]))


@architecture()
class MixtureDensity(WithLSTM):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(HIDDEN, 9)

    def forward(self, x):
        weight, mean, scale = self.head(self.lstm(x)[0]).chunk(3, dim=-1)
        return F.softmax(weight, dim=-1), mean, torch.exp(scale)


@architecture()
class TwoHeads(WithLSTM):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(HIDDEN, 1)

    def forward(self, x):
        y = self.lstm(x)[0]
        return self.head(y), torch.sigmoid(self.other(y[:, -1]))


@architecture()
class OutputAndState(WithLSTM):
    def forward(self, x):
        y, (h, c) = self.lstm(x)
        return self.head(y), h, c


@architecture()
class LimitedOutput(WithLSTM):
    def forward(self, x):
        return torch.clamp(F.hardtanh(self.head(self.lstm(x)[0])), -0.5, 0.75)


@architecture()
class CumulativeOutput(WithLSTM):
    def forward(self, x):
        return torch.cumsum(F.softplus(self.head(self.lstm(x)[0])), dim=1)


@architecture()
class EinsumHead(WithLSTM):
    def __init__(self):
        super().__init__()
        self.readout = nn.Parameter(torch.empty(HIDDEN, OUTPUTS))

    def forward(self, x):
        return torch.einsum("bth,ho->bto", self.lstm(x)[0], self.readout)


@architecture()
class GatedOutput(WithLSTM):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, x):
        y = self.lstm(x)[0]
        return torch.sigmoid(self.gate(y)) * torch.tanh(self.head(y))


@architecture()
class GLUHead(WithLSTM):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(HIDDEN, 2 * OUTPUTS)

    def forward(self, x):
        return F.glu(self.head(self.lstm(x)[0]), dim=-1)


# What goes around the LSTM.


@architecture()
class SkipConnection(WithLSTM):
    def __init__(self):
        super().__init__()
        self.skip = nn.Linear(INPUTS, OUTPUTS, bias=False)

    def forward(self, x):
        return self.head(self.lstm(x)[0]) + self.skip(x)


@architecture()
class AmplifierSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = lstm(1), nn.Linear(HIDDEN, 1)

    def forward(self, x):
        return self.head(self.lstm(x[..., :1])[0]) + x[..., :1]


@architecture()
class MultipliedInput(WithLSTM):
    def __init__(self):
        super().__init__()
        self.mask = nn.Linear(HIDDEN, INPUTS)

    def forward(self, x):
        return torch.relu(x * torch.sigmoid(self.mask(self.lstm(x)[0])))


# What comes before the LSTM.


@architecture(tokens)
class Embedded(WithLSTM):
    def __init__(self):
        super().__init__(inputs=4)
        self.embedding = nn.Embedding(VOCABULARY, 4, padding_idx=0)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0][:, -1])


@architecture(tokens, tokens)
class TwoEmbeddings(WithLSTM):
    def __init__(self):
        super().__init__(inputs=6)
        self.word, self.kind = nn.Embedding(VOCABULARY, 4), nn.Embedding(VOCABULARY, 2)

    def forward(self, words, kinds):
        return self.head(self.lstm(torch.cat([self.word(words), self.kind(kinds)], -1))[0])


@architecture(tokens, sequences)
class TokensAndFeatures(WithLSTM):
    def __init__(self):
        super().__init__(inputs=4 + INPUTS)
        self.embedding = nn.Embedding(VOCABULARY, 4)

    def forward(self, tokens, features):
        return self.head(self.lstm(torch.cat([self.embedding(tokens), features], dim=2))[0])


@architecture(sequences, lambda: torch.randn(BATCH, 4))
class StaticFeatures(WithLSTM):
    def __init__(self):
        super().__init__(inputs=INPUTS + 2)
        self.static = nn.Linear(4, 2)

    def forward(self, x, static):
        repeated = torch.tanh(self.static(static)).unsqueeze(1).expand(-1, x.shape[1], -1)
        return self.head(self.lstm(torch.cat([x, repeated], dim=-1))[0])


@architecture(sequences, lambda: torch.randn(BATCH, 4))
class ComputedInitialState(WithLSTM):
    def __init__(self):
        super().__init__()
        self.to_h, self.to_c = nn.Linear(4, HIDDEN), nn.Linear(4, HIDDEN)

    def forward(self, x, static):
        state = torch.tanh(self.to_h(static)).unsqueeze(0), self.to_c(static).unsqueeze(0)
        return self.head(self.lstm(x, state)[0])


@architecture()
class LearnedInitialState(WithLSTM):
    def __init__(self):
        super().__init__()
        self.h0, self.c0 = nn.Parameter(torch.empty(1, 1, HIDDEN)), nn.Parameter(torch.empty(1, 1, HIDDEN))

    def forward(self, x):
        state = self.h0.expand(-1, x.shape[0], -1).contiguous(), self.c0.expand(-1, x.shape[0], -1).contiguous()
        return self.head(self.lstm(x, state)[0])


@architecture()
class Standardised(WithLSTM):
    def __init__(self):
        super().__init__()
        self.register_buffer("center", torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("scale", torch.tensor([2.0, 0.5, 1.5]))

    def forward(self, x):
        return self.head(self.lstm((x - self.center) / self.scale)[0]) * 3.0 + 1.0


@architecture()
class NormalisedInput(WithLSTM):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(INPUTS)

    def forward(self, x):
        return self.head(self.lstm(self.norm(x))[0])


@architecture()
class BatchNormBefore(WithLSTM):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(INPUTS)
        self.norm.running_mean.uniform_(-0.5, 0.5)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.head(self.lstm(self.norm(x.transpose(1, 2)).transpose(1, 2))[0])


@architecture()
class DenseBefore(WithLSTM):
    def __init__(self):
        super().__init__(inputs=4)
        self.before = nn.Linear(INPUTS, 4)

    def forward(self, x):
        return self.head(self.lstm(F.silu(self.before(x)))[0])


@architecture()
class ConvolutionBefore(WithLSTM):
    def __init__(self):
        super().__init__(inputs=4)
        self.conv = nn.Conv1d(INPUTS, 4, 3, padding=1)

    def forward(self, x):
        y = F.relu(self.conv(x.permute(0, 2, 1)))
        return self.head(self.lstm(y.permute(0, 2, 1))[0])


@architecture()
class CausalConvolution(WithLSTM):
    def __init__(self):
        super().__init__(inputs=4)
        self.conv = nn.Conv1d(INPUTS, 4, 3, dilation=2)

    def forward(self, x):
        y = self.conv(F.pad(x.transpose(1, 2), (4, 0)))
        return self.head(self.lstm(y.transpose(1, 2))[0])


@architecture(lambda: sequences(steps=12))
class PooledConvolutions(WithLSTM):
    def __init__(self):
        super().__init__(inputs=6)
        self.conv = nn.Sequential(
            nn.Conv1d(INPUTS, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(4, 6, 3, stride=2, groups=2),
            nn.LeakyReLU(0.1),
        )

    def forward(self, x):
        return self.head(self.lstm(self.conv(x.transpose(1, 2)).transpose(1, 2))[0][:, -1])


@architecture(lambda: torch.randn(BATCH, 1, 8, TIME))
class Spectrogram(WithLSTM):
    def __init__(self):
        super().__init__(inputs=12)
        self.conv = nn.Conv2d(1, 3, (3, 3), padding=(1, 1), stride=(2, 1))

    def forward(self, x):
        y = torch.relu(self.conv(x))
        y = y.permute(0, 3, 1, 2).reshape(x.shape[0], x.shape[3], 12)
        return self.head(self.lstm(y)[0])


@architecture()
class DifferencedInput(WithLSTM):
    def forward(self, x):
        return self.head(self.lstm(x[:, 1:] - x[:, :-1])[0])


@architecture()
class SqueezeAndExcite(WithLSTM):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(INPUTS, 2), nn.Linear(2, INPUTS)

    def forward(self, x):
        weight = torch.sigmoid(self.up(F.relu(self.down(x.mean(dim=1, keepdim=True)))))
        return self.head(self.lstm(x * weight)[0])


@architecture()
class LogTransformed(WithLSTM):
    def forward(self, x):
        return torch.exp(self.head(self.lstm(torch.log1p(torch.abs(x)))[0])) - 1


# Several LSTMs.


class TwoLSTMs(nn.Module):
    def __init__(self, between=HIDDEN, read=4, **first):
        super().__init__()
        self.first, self.second = lstm(**first), lstm(between, 4)
        self.head = nn.Linear(read, OUTPUTS)


@architecture()
class UnequalStack(TwoLSTMs):
    def forward(self, x):
        return self.head(self.second(self.first(x)[0])[0])


@architecture()
class BidirectionalThenForward(TwoLSTMs):
    def __init__(self):
        super().__init__(between=2 * HIDDEN, bidirectional=True)

    def forward(self, x):
        return self.head(self.second(self.first(x)[0])[0][:, -1])


@architecture()
class NormBetween(TwoLSTMs):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x)[0]))[0])


@architecture()
class DenseBetween(TwoLSTMs):
    def __init__(self):
        super().__init__(between=3)
        self.dense = nn.Linear(HIDDEN, 3)

    def forward(self, x):
        return self.head(self.second(torch.relu(self.dense(self.first(x)[0])))[0])


@architecture()
class ResidualLSTMs(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(INPUTS, HIDDEN)
        self.layers = nn.ModuleList(lstm(HIDDEN) for _ in range(3))
        self.head = nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, x):
        x = self.enter(x)
        for layer in self.layers:
            x = x + layer(x)[0]
        return self.head(x)


@architecture()
class EncoderDecoder(nn.Module):
    """The last state of the encoder, repeated, is what the decoder reads."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = lstm(), lstm(HIDDEN, 4), nn.Linear(4, INPUTS)

    def forward(self, x):
        h = self.encoder(x)[1][0][-1]
        return self.head(self.decoder(h.unsqueeze(1).repeat(1, x.shape[1], 1))[0])


@architecture(sequences, lambda: sequences(2, 4))
class StatePassed(nn.Module):
    """The decoder begins with the state of the encoder, and reads an input of its own, of another length."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = lstm(num_layers=2), lstm(2, num_layers=2), nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, past, future):
        return self.head(self.decoder(future, self.encoder(past)[1])[0])


@architecture(sequences, lambda: sequences(2, 4))
class AttentiveDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = lstm(), lstm(2), nn.Linear(2 * HIDDEN, OUTPUTS)

    def forward(self, past, future):
        memory, state = self.encoder(past)
        y = self.decoder(future, state)[0]
        context = torch.softmax(y @ memory.transpose(1, 2) / HIDDEN**0.5, dim=-1) @ memory
        return self.head(torch.cat([y, context], dim=-1))


@architecture(sequences, sequences)
class Siamese(WithLSTM):
    def forward(self, a, b):
        return self.head(torch.abs(self.lstm(a)[1][0][-1] - self.lstm(b)[1][0][-1]))


@architecture(sequences, sequences)
class SiameseCosine(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = lstm()

    def forward(self, a, b):
        return F.cosine_similarity(self.lstm(a)[1][0][-1], self.lstm(b)[1][0][-1], dim=1)


@architecture(sequences, lambda: sequences(2))
class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.fast, self.slow, self.head = lstm(), lstm(2, 4, num_layers=2), nn.Linear(HIDDEN + 4, OUTPUTS)

    def forward(self, a, b):
        return self.head(torch.cat([self.fast(a)[0][:, -1], self.slow(b)[0][:, -1]], 1))


@architecture()
class FlippedBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.ahead, self.back, self.head = lstm(), lstm(), nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, x):
        return self.head(self.ahead(x)[0] + torch.flip(self.back(torch.flip(x, [1]))[0], [1]))


@architecture()
class ParallelLSTMs(nn.Module):
    """One LSTM for each feature."""

    def __init__(self):
        super().__init__()
        self.lstms, self.head = nn.ModuleList(lstm(1, 3) for _ in range(INPUTS)), nn.Linear(3 * INPUTS, OUTPUTS)

    def forward(self, x):
        parts = [layer(part)[0] for layer, part in zip(self.lstms, torch.split(x, 1, dim=2), strict=True)]
        return self.head(torch.cat(parts, 2))


# Cells, projections, other recurrent layers.


@architecture()
class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = lstm(proj_size=3), nn.Linear(3, OUTPUTS)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


@architecture()
class LoopOfCells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(INPUTS, HIDDEN), nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], HIDDEN)
        outputs = []
        for t in range(TIME):
            h, c = self.cell(x[:, t], (h, c))
            outputs.append(self.head(h))
        return torch.stack(outputs, dim=1)


@architecture()
class LSTMThenGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.head = lstm(), nn.GRU(HIDDEN, 4, batch_first=True), nn.Linear(4, OUTPUTS)

    def forward(self, x):
        return self.head(self.gru(self.lstm(x)[0])[0])
