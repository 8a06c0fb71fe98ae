"""SysTick against a counter that is stepped one tick at a time (DDI0403E B3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn.cpu.systick import COUNTFLAG, ENABLE, TICKINT, SysTick


@dataclass
class Naive:
    """What the manual says, for one tick after the other."""

    control: int = 0
    reload: int = 0
    current: int = 0
    flag: bool = False
    interrupts: int = 0

    def tick(self) -> None:
        if not self.control & ENABLE:
            return
        if self.current == 0:
            self.current = self.reload
            return
        self.current -= 1
        if self.current == 0:
            self.flag = True
            self.interrupts += bool(self.control & TICKINT)

    def read_control(self) -> int:
        value = self.control | (COUNTFLAG if self.flag else 0)
        self.flag = False
        return value

    def clear(self) -> None:
        self.current = 0
        self.flag = False


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("control"), st.integers(0, 7)),
        st.tuples(st.just("reload"), st.integers(0, 12)),
        st.tuples(st.sampled_from(("clear", "read control", "read value")), st.just(0)),
    ),
    max_size=30,
)


@given(STEPS)
def test_every_register_reads_as_if_each_tick_were_counted(steps):
    model, real, now = Naive(), SysTick(), 0
    for what, value in steps:
        if what == "wait":
            now += value
            for _ in range(value):
                model.tick()
        elif what == "control":
            model.control = value
            real.write_control(value, now)
        elif what == "reload":
            model.reload = value
            real.write_reload(value, now)
        elif what == "clear":
            model.clear()
            real.write_value(now)
        elif what == "read control":
            assert real.read_control(now)[0] == model.read_control()
        assert real.read_value(now)[0] == model.current


@given(STEPS)
def test_every_interrupt_falls_on_its_tick_whoever_looks(steps):
    """The core looks when the counter says that it expires."""
    model, real, now = Naive(), SysTick(), 0
    expected, seen = [], []

    def note(due: bool) -> None:
        if due:
            seen.append(now)

    for what, value in steps:
        if what == "wait":
            for _ in range(value):
                now += 1
                before = model.interrupts
                model.tick()
                if model.interrupts > before:
                    expected.append(now)
                if real.expiry is not None and real.expiry <= now:
                    note(real.advance(now))
        elif what == "control":
            model.control = value
            note(real.write_control(value, now))
        elif what == "reload":
            model.reload = value
            note(real.write_reload(value, now))
        elif what == "clear":
            model.clear()
            note(real.write_value(now))
    assert seen == expected


@given(st.integers(1, 1000), st.integers(1, 10_000))
def test_a_late_look_shows_the_counter_where_it_is(reload, wait):
    model, real = Naive(control=5, reload=reload), SysTick()
    real.write_reload(reload, 0)
    real.write_control(5, 0)
    for _ in range(wait):
        model.tick()
    assert real.read_value(wait)[0] == model.current
    assert real.read_control(wait)[0] == model.read_control()


def test_the_period_is_reload_plus_one():
    it = SysTick()
    it.write_reload(99, 0)
    it.write_value(0)
    it.write_control(7, 0)
    expiries = []
    for _ in range(3):
        expiries.append(it.expiry)
        assert it.advance(it.expiry)
    assert expiries == [100, 200, 300]


def test_without_tickint_there_is_no_expiry_but_countflag():
    it = SysTick()
    it.write_reload(9, 0)
    it.write_control(5, 0)
    assert it.expiry is None
    assert it.read_control(25) == (5 | COUNTFLAG, False)
    assert it.read_control(25) == (5, False)


def test_a_reload_of_zero_stops_the_counter_at_the_next_wrap():
    it = SysTick()
    it.write_reload(9, 0)
    it.write_control(7, 0)
    it.write_reload(0, 3)
    assert it.expiry == 10
    assert it.advance(10)
    assert it.expiry is None


def test_the_reload_has_24_bits():
    it = SysTick()
    it.write_reload(0xFF000005, 0)
    assert it.reload == 5


def test_a_saved_counter_goes_on_where_it_was():
    it = SysTick()
    it.write_reload(9, 0)
    it.write_control(7, 0)
    saved = it.save()
    it.write_control(0, 5)
    it.restore(saved)
    assert it.expiry == 10
