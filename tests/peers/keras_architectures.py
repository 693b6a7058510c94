"""Ordinary networks in Keras: what people put before, between and after their LSTMs.

Each architecture is a function that returns a model and the inputs of one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from peers.keras_live import keras

L, K = keras.layers, keras.ops
BATCH, TIME, INPUTS, UNITS, OUTPUTS, VOCABULARY = 2, 6, 3, 5, 2, 11
ARCHITECTURES: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {}


def features(size=INPUTS, steps=TIME):
    return keras.Input((steps, size)), np.random.default_rng(1).normal(size=(BATCH, steps, size)).astype(np.float32)


def static(size=4):
    return keras.Input((size,)), np.random.default_rng(2).normal(size=(BATCH, size)).astype(np.float32)


def tokens():
    numbers = np.random.default_rng(3).integers(1, VOCABULARY, (BATCH, TIME)).astype(np.int32)
    numbers[0, -2:] = 0  # padding
    return keras.Input((TIME,), dtype="int32"), numbers


def architecture(*make_inputs):
    """Register a function from symbolic inputs to outputs; the inputs are one sequence of features by default."""

    def register(connect):
        def build():
            keras.utils.set_random_seed(0)
            inputs, arrays = zip(*(make() for make in make_inputs or (features,)), strict=True)
            model = keras.Model(inputs[0] if len(inputs) == 1 else list(inputs), connect(*inputs))
            rng = np.random.default_rng(0)
            for weight in model.weights:
                value = rng.normal(0, 0.5, weight.shape).astype(np.float32)
                weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
            return model, arrays

        ARCHITECTURES[connect.__name__] = build
        return connect

    return register


def lstm(units=UNITS, **options):
    return L.LSTM(units, **options)


def every(units=UNITS, **options):
    return L.LSTM(units, return_sequences=True, **options)


# What reads the LSTM.


@architecture()
def last_step(x):
    return L.Dense(OUTPUTS)(lstm()(x))


@architecture()
def every_step(x):
    return L.Dense(OUTPUTS, activation="sigmoid")(every()(x))


@architecture()
def time_distributed(x):
    return L.TimeDistributed(L.Dense(OUTPUTS, activation="softmax"))(every()(x))


@architecture()
def deep_head(x):
    y = L.Dropout(0.2)(lstm()(x))
    y = L.Dense(6, activation="gelu")(y)
    return L.Dense(OUTPUTS)(L.LeakyReLU(negative_slope=0.2)(L.Dense(4)(y)))


@architecture()
def activation_layers(x):
    y = L.PReLU()(L.Dense(6)(lstm()(x)))
    return L.Activation("softplus")(L.Dense(OUTPUTS)(L.ELU(alpha=0.7)(y)))


@architecture()
def average_pooling(x):
    return L.Dense(OUTPUTS)(L.GlobalAveragePooling1D()(every()(x)))


@architecture()
def max_pooling(x):
    return L.Dense(OUTPUTS)(L.GlobalMaxPooling1D()(every()(x)))


@architecture()
def attention(x):
    y = every()(x)
    return L.Dense(OUTPUTS)(L.GlobalAveragePooling1D()(L.Attention(use_scale=True)([y, y])))


@architecture()
def additive_attention(x):
    y = every()(x)
    return L.Dense(OUTPUTS)(L.Flatten()(L.AdditiveAttention()([y, y])))


@architecture()
def multi_head_attention(x):
    y = every(6)(x)
    y = L.LayerNormalization()(L.Add()([y, L.MultiHeadAttention(2, 3)(y, y)]))
    return L.Dense(OUTPUTS)(y)


@architecture()
def soft_attention_by_hand(x):
    y = every()(x)
    weight = L.Softmax(axis=1)(L.Dense(1, activation="tanh")(y))
    return L.Dense(OUTPUTS)(L.Flatten()(L.Dot(axes=1)([weight, y])))


@architecture()
def flattened(x):
    return L.Dense(OUTPUTS)(L.Flatten()(every()(x)))


@architecture()
def two_outputs(x):
    y = every()(x)
    return [L.Dense(OUTPUTS, name="each")(y), L.Dense(1, name="whole")(L.GlobalMaxPooling1D()(y))]


@architecture()
def gated(x):
    y = every()(x)
    return L.Multiply()([L.Dense(OUTPUTS, activation="sigmoid")(y), L.Dense(OUTPUTS, activation="tanh")(y)])


@architecture()
def unit_norm(x):
    return L.UnitNormalization(axis=-1)(L.Dense(4)(lstm()(x)))


@architecture()
def reshaped(x):
    return L.Permute((2, 1))(L.Reshape((3, 4))(L.Dense(12)(lstm()(x))))


# What comes before it.


@architecture(tokens)
def embedded(x):
    return L.Dense(OUTPUTS)(lstm()(L.Embedding(VOCABULARY, 4)(x)))


@architecture(tokens)
def masked_embedding(x):
    return L.Dense(OUTPUTS)(lstm()(L.Embedding(VOCABULARY, 4, mask_zero=True)(x)))


@architecture(tokens, features)
def tokens_and_features(ids, x):
    return L.Dense(OUTPUTS)(every()(L.Concatenate()([L.Embedding(VOCABULARY, 4)(ids), x])))


@architecture()
def normalization(x):
    layer = L.Normalization(mean=[0.5, -1.0, 2.0], variance=[1.0, 4.0, 0.25])
    return L.Dense(OUTPUTS)(lstm()(layer(x)))


@architecture()
def rescaling(x):
    return L.Rescaling(10.0, offset=1.0)(L.Dense(OUTPUTS)(every()(L.Rescaling(0.5, offset=-0.25)(x))))


@architecture()
def batch_normalization(x):
    return L.Dense(OUTPUTS)(lstm()(L.BatchNormalization()(x)))


@architecture()
def dense_before(x):
    return L.Dense(OUTPUTS)(lstm()(L.Dense(4, activation="relu")(x)))


@architecture(lambda: features(steps=12))
def convolution(x):
    y = L.MaxPooling1D(2)(L.Conv1D(4, 3, activation="relu", padding="same")(x))
    return L.Dense(OUTPUTS)(lstm()(y))


@architecture()
def causal_convolution(x):
    return L.Dense(OUTPUTS)(every()(L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="swish")(x)))


@architecture(lambda: features(steps=12))
def strided_convolution(x):
    return L.Dense(OUTPUTS)(lstm()(L.AveragePooling1D(2, padding="same")(L.Conv1D(4, 3, strides=2)(x))))


@architecture()
def separable_convolution(x):
    return L.Dense(OUTPUTS)(lstm()(L.SeparableConv1D(4, 3)(L.ZeroPadding1D(1)(x))))


@architecture()
def cropped(x):
    return L.Dense(OUTPUTS)(every()(L.Cropping1D((1, 2))(L.SpatialDropout1D(0.2)(L.GaussianNoise(0.1)(x)))))


@architecture(features, static)
def static_features(x, still):
    return L.Dense(OUTPUTS)(every()(L.Concatenate()([x, L.RepeatVector(TIME)(still)])))


@architecture(features, static)
def static_after(x, still):
    return L.Dense(OUTPUTS)(L.concatenate([lstm()(x), L.Dense(3, activation="relu")(still)]))


@architecture(features, static)
def computed_initial_state(x, still):
    state = [L.Dense(UNITS, activation="tanh")(still), L.Dense(UNITS)(still)]
    return L.Dense(OUTPUTS)(every()(x, initial_state=state))


# Several LSTMs.


@architecture()
def stacked(x):
    return L.Dense(OUTPUTS)(lstm(4)(every()(x)))


@architecture()
def bidirectional_then_lstm(x):
    return L.Dense(OUTPUTS)(lstm(4)(L.Bidirectional(every())(x)))


@architecture()
def summed_directions(x):
    return L.Dense(OUTPUTS)(L.Bidirectional(every(), merge_mode="sum")(x))


@architecture()
def norm_between(x):
    return L.Dense(OUTPUTS)(lstm(4)(L.LayerNormalization(epsilon=0.01)(every()(x))))


@architecture()
def batch_norm_between(x):
    return L.Dense(OUTPUTS)(lstm(4)(L.BatchNormalization()(L.Dropout(0.1)(every()(x)))))


@architecture()
def residual(x):
    y = L.Dense(UNITS)(x)
    for _ in range(2):
        y = L.Add()([y, every()(y)])
    return L.Dense(OUTPUTS)(y)


@architecture()
def skip_concatenated(x):
    return L.Dense(OUTPUTS)(L.Concatenate()([every()(x), x]))


@architecture()
def autoencoder(x):
    code = lstm()(x)
    return L.TimeDistributed(L.Dense(INPUTS))(every(4)(L.RepeatVector(TIME)(code)))


@architecture(features, lambda: features(2, 4))
def encoder_decoder(past, future):
    _, h, c = lstm(return_state=True)(past)
    return L.Dense(OUTPUTS)(every()(future, initial_state=[h, c]))


@architecture(features, features)
def siamese(a, b):
    shared = lstm()
    return L.Dense(1, activation="sigmoid")(L.Subtract()([shared(a), shared(b)]))


@architecture(features, features)
def siamese_cosine(a, b):
    shared = lstm()
    return L.Dot(axes=1, normalize=True)([shared(a), shared(b)])


@architecture()
def parallel(x):
    return L.Dense(OUTPUTS)(L.Average()([every()(x), every(activation="softsign")(x)]))


@architecture()
def reversed_branch(x):
    ahead, back = every()(x), every(go_backwards=True)(x)
    return L.Dense(OUTPUTS)(L.Maximum()([ahead, back]))


@architecture()
def operations_by_hand(x):
    y = every()(x)
    return L.Dense(OUTPUTS)(K.tanh(y[:, 1:] - y[:, :-1]) * 2 + 1)


@architecture()
def nested(x):
    encoder = keras.Sequential([keras.Input((TIME, INPUTS)), L.Dense(4, activation="tanh"), every()])
    return keras.Sequential([keras.Input((TIME, UNITS)), L.LayerNormalization(), L.Dense(OUTPUTS)])(encoder(x))


@architecture()
def lstm_then_gru(x):
    return L.Dense(OUTPUTS)(L.GRU(4)(every()(x)))
