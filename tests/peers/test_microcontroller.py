"""A header on a microcontroller: what a step takes on a Cortex-M4F, its instructions counted by an emulator."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw

TOOLS = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        not all(map(shutil.which, TOOLS)), reason="there is no compiler or emulator of microcontrollers"
    ),
]
PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
PROGRAM = re.search(r"^```c\n(#include \"amp\.h\"\n\nstatic amp_state.*?)^```$", PAGE, re.M | re.S)[1]
COMPILE = re.search(r"^arm-none-eabi-gcc .*$", PAGE, re.M)[0].split()
LINK = "-nostartfiles -Wl,-e,reset,-Ttext=0x400,-Tdata=0x20000000,--section-start=.vectors=0 -lm"
# A board: its vectors, a counter at 25 MHz that QEMU advances by one instruction in a nanosecond, and a way out.
BOARD = """\
#define AMP_TEST
#include "amp.h"

enum { STEPS = 1000, TICK = 40 };

void start(void);
float sample(float x);
void reset(void);
extern const void *const vectors[2];
__attribute__((section(".vectors"), used)) const void *const vectors[2] = {(void *)0x20010000, (void *)reset};

static void ask(int call, const void *what)
{
    register int r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = what;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static __attribute__((noinline)) void run(void)
{
    volatile uint32_t *const counter = (volatile uint32_t *)0xE000E010;
    char text[] = "         instructions, test 0\\n";
    float x = 0.5f;
    uint32_t begin, count;
    int k;
    if (amp_test() != 0) text[29] = '1';
    start();
    counter[1] = 0xFFFFFF;
    counter[2] = 0;
    counter[0] = 5;
    begin = counter[2];
    for (k = 0; k < STEPS; k++) x = 0.5f - sample(x);
    count = ((begin - counter[2]) & 0xFFFFFF) * TICK / STEPS;
    for (k = 7; count; k--, count /= 10) text[k] = (char)('0' + count % 10);
    ask(0x04, text);
    ask(0x18, (void *)0x20026);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* the floating-point unit is on */
    run();
}
"""


def shown(command, folder):
    """Return what a command prints; an emulated program prints as errors are."""
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.parametrize(("hidden", "instructions", "flash"), [(8, 2_200, 7_000), (20, 7_500, 14_000)])
def test_a_step_keeps_to_a_microcontrollers_budget(hidden, instructions, flash, tmp_path):
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(0, 0.3, (1, hidden)).astype(np.float32))
    header = gw.write_c(gw.Network(gw.LSTM(1, hidden, rng=0), head=head), tmp_path / "amp.h")
    (tmp_path / "firmware.c").write_text(PROGRAM)
    (tmp_path / "board.c").write_text(BOARD)
    assert shown([*COMPILE, "-Wall", "-Wextra", "-fstack-usage"], tmp_path) == ""
    parts = dict(re.findall(r"^\.(\w+)\S* +(\d+)", shown(["arm-none-eabi-size", "-A", "firmware.o"], tmp_path), re.M))
    stated = re.search(r"Tables: ([\d,]+) bytes. State and work: ([\d,]+) bytes", header.text)
    tables, memory = (int(number.replace(",", "")) for number in stated.groups())
    state = 4 * 2 * hidden
    assert tables == header.flash
    assert 0.8 * tables <= int(parts["rodata"]) <= tables  # the compiler has numbers of short tables in the code
    assert int(parts["bss"]) == state
    assert int(parts["data"]) == 0
    assert int(parts["text"]) + tables <= flash
    stack = sum(int(n) for n in re.findall(r"amp_run\t(\d+)\tstatic", (tmp_path / "firmware.su").read_text()))
    assert memory <= state + stack <= memory + 200
    board = [word for word in COMPILE if word not in ("-c", "firmware.c")]
    shown([*board, "board.c", "firmware.o", "-o", "board.elf", *LINK.split()], tmp_path)
    emulator = "qemu-system-arm -M mps2-an386 -icount shift=0 -nographic -semihosting -kernel board.elf"
    count, test = re.fullmatch(r" *(\d+) instructions, test (\d)\n", shown(emulator.split(), tmp_path)).groups()
    assert test == "0"
    assert hidden * hidden * 4 * 2 < int(count) <= instructions  # a product takes two at least
