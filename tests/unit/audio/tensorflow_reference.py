"""Writes data/deepspeech_tiny.*: a frozen DeepSpeech 0.1 graph of width 4 and its logits, both by TensorFlow itself.

Run once, in an environment of its own (Python 3.11): ``pip install tensorflow-cpu==2.15.1 'numpy<2'``, then
``python tensorflow_reference.py``. The network is written as DeepSpeech.py of that release describes it, frozen by
TensorFlow, read back into a fresh session, and asked.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).with_name("data")
HIDDEN, CLASSES, ROWS = 4, 29, 37


def rows() -> np.ndarray:
    """The input: [37, 494] float32 that no generator's version changes."""
    return (1.5 * np.sin(np.arange(ROWS * 494) * 0.7371)).astype(np.float32).reshape(ROWS, 494)


def dense(tf: Any, x: Any, name: str, into: int, out: int, rng: np.random.Generator) -> Any:
    bias = tf.get_variable(f"b{name}", initializer=rng.normal(0.2, 0.3, out).astype(np.float32))
    weight = rng.normal(0, 2 / np.sqrt(into), (into, out)).astype(np.float32)
    return tf.add(tf.matmul(x, tf.get_variable(f"h{name}", initializer=weight)), bias)


def clipped(tf: Any, x: Any) -> Any:
    return tf.minimum(tf.nn.relu(x), 20.0)


def main() -> None:
    import tensorflow

    tf = tensorflow.compat.v1
    tf.disable_v2_behavior()
    rng = np.random.default_rng(7)
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.placeholder(tf.float32, [1, None, 494], name="input_node")
        lengths = tf.placeholder(tf.int32, [1], name="input_lengths")
        x = tf.reshape(tf.transpose(given, [1, 0, 2]), [-1, 494])
        for name, into, out in (("1", 494, HIDDEN), ("2", HIDDEN, HIDDEN), ("3", HIDDEN, 2 * HIDDEN)):
            x = clipped(tf, dense(tf, x, name, into, out, rng))
        cells = [tf.nn.rnn_cell.BasicLSTMCell(HIDDEN, forget_bias=1.0, state_is_tuple=True) for _ in range(2)]
        both, _ = tf.nn.bidirectional_dynamic_rnn(
            *cells,
            tf.reshape(x, [-1, 1, 2 * HIDDEN]),
            dtype=tf.float32,
            time_major=True,
            sequence_length=tf.cast(lengths, tf.int64),
        )
        x = tf.reshape(tf.concat(both, 2), [-1, 2 * HIDDEN])
        x = clipped(tf, dense(tf, x, "5", 2 * HIDDEN, HIDDEN, rng))
        tf.reshape(dense(tf, x, "6", HIDDEN, CLASSES, rng), [-1, 1, CLASSES], name="logits")
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():  # a cell starts with zero biases, and a trained one has none
            if "basic_lstm_cell" in variable.name:
                variable.load(rng.normal(0, 0.6, variable.shape.as_list()).astype(np.float32), session)
        frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, ["logits"])
    DATA.mkdir(exist_ok=True)
    path = DATA / "deepspeech_tiny.pb"
    path.write_bytes(frozen.SerializeToString())
    read = tf.GraphDef()
    read.ParseFromString(path.read_bytes())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(read, name="deepspeech")
        asked = {"deepspeech/input_node:0": rows()[None], "deepspeech/input_lengths:0": [ROWS]}
        logits = session.run("deepspeech/logits:0", asked)[:, 0]
    np.save(DATA / "deepspeech_tiny_logits.npy", logits)
    sys.stdout.write(f"{path.stat().st_size} bytes, logits {logits.shape}, std over time {logits.std(0).mean():.3f}\n")


if __name__ == "__main__":
    main()
