"""The suite tested: ways to break the engine, each with the case that must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from conformance.images import CORE_TYPES, Selection
from conformance.on_unicorn import run_on_unicorn
from conformance.transcript import Program
from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import FIRST_INTERRUPT
from orchestrator.engines.unicorn.cpu import core as core_module
from orchestrator.engines.unicorn.cpu import fault_record, floating_point, frames, nvic
from orchestrator.engines.unicorn.cpu.diagnosis import Diagnosis
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.fault_record import FaultRecord
from orchestrator.engines.unicorn.cpu.frames import Frames
from orchestrator.engines.unicorn.cpu.instructions import Instructions
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.nvic_registers import NvicRegisters
from orchestrator.engines.unicorn.cpu.ports import Ports
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.cpu.run_loop import RunLoop
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.cpu.systick import SysTick
from orchestrator.engines.unicorn.cpu.timeline import Timeline
from orchestrator.engines.unicorn.memory import BoardMemory
from orchestrator.engines.unicorn.memory import store as store_module
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.wiring import Wiring

__all__ = ["BREAKAGES", "Breakage", "notices"]

_PATIENCE_NS = 1_000_000  # a broken engine may take exceptions for ever, and slowly


@dataclass(frozen=True, slots=True)
class Breakage:
    """``target.name`` replaced by what ``make`` gives for the original; ``case`` then differs on ``core``."""

    what: str
    case: str
    target: Any
    name: str
    make: Callable[[Any], Any]
    core: str = "m4"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The engine is broken inside."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(self.target, self.name, self.make(getattr(self.target, self.name))))
            yield


def _constant(value: Any) -> Callable[[Any], Any]:
    """The attribute is this."""
    return lambda _original: value


def _answers(value: Any) -> Callable[[Any], Any]:
    """The function does nothing but return this."""
    return lambda _original: lambda *_args, **_named: value


def _after(change: Callable[..., None]) -> Callable[[Any], Any]:
    """The function, then something more that is given its arguments."""

    def make(original: Any) -> Any:
        def changed(*args: Any, **named: Any) -> Any:
            result = original(*args, **named)
            change(*args, **named)
            return result

        return changed

    return make


def _result(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function, its result changed."""
    return lambda original: lambda *args, **named: change(original(*args, **named))


def _argument(index: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function, one of its arguments changed (0 is self)."""

    def make(original: Any) -> Any:
        def changed(*args: Any, **named: Any) -> Any:
            return original(*args[:index], change(args[index]), *args[index + 1 :], **named)

        return changed

    return make


def _highest_number(state: ExceptionState) -> int | None:
    pending = list(bits_of(state.candidates))
    return max(pending, key=lambda number: (-state.priority[number], number), default=None)


def _stop_at_block_end(self: RunLoop) -> None:
    self._p.attention = True
    self._p.end_slice()
    self._timeline.replan()


def _skip_instruction(self: Instructions) -> None:
    self._p.pc += 4


def _without_limits(self: ExceptionUnit, *_args: Any, **_named: Any) -> None:
    self.frames.limits = lambda: (0, 0)


def _unpend_what_fell(self: ExceptionState, interrupt: int, level: bool) -> None:
    if not level:
        self.pending &= ~(1 << FIRST_INTERRUPT + interrupt)


def _unpend_even_so(self: ExceptionState, index: int, value: int, *, on: bool) -> None:
    if not on and index == 0:
        self.pending &= ~(value << FIRST_INTERRUPT)


BREAKAGES = (
    Breakage(
        "the highest number among equals",
        "nvic_lowest_number_first_among_equals",
        ExceptionState,
        "highest_pending",
        lambda _original: _highest_number,
    ),
    Breakage(
        "no preemption by group",
        "nvic_subpriority_does_not_preempt",
        ExceptionState,
        "group_priority",
        lambda _o: lambda _self, priority: priority,
    ),
    Breakage(
        "PRIGROUP ignored",
        "nvic_group_of_no_bits_never_preempts",
        ExceptionState,
        "set_priority_grouping",
        _answers(None),
    ),
    Breakage("priorities are not kept", "nvic_priority_reads_back", ExceptionState, "set_priority", _answers(None)),
    Breakage("reserved priorities are kept", "nvic_system_priorities_read_back", nvic, "_RESERVED", _constant(())),
    Breakage(
        "an entered exception is not active",
        "nvic_active_in_handler_and_no_longer_pending",
        ExceptionState,
        "enter",
        _constant(ExceptionState.unpend),
    ),
    Breakage(
        "a returned exception stays active",
        "nvic_active_in_handler_and_no_longer_pending",
        ExceptionState,
        "leave",
        _after(lambda self, number: self.set_active(number, True)),
    ),
    Breakage(
        "ICER does nothing",
        "nvic_enable_sets_and_clear_clears",
        ExceptionState,
        "enable_word",
        lambda original: lambda self, index, value, on: original(self, index, value if on else 0, on=on),
    ),
    Breakage(
        "ICPR does nothing",
        "nvic_cleared_pending_is_not_taken",
        ExceptionState,
        "pend_word",
        lambda original: lambda self, index, value, on: original(self, index, value if on else 0, on=on),
    ),
    Breakage(
        "STIR is off by one",
        "nvic_stir_pends",
        NvicRegisters,
        "_write_stir",
        _argument(1, lambda value: value + 1),
    ),
    Breakage(
        "AIRCR needs no key",
        "nvic_aircr_without_key_is_ignored",
        SystemControlSpace,
        "_write_aircr",
        _argument(1, lambda value: 0x05FA0000 | value & 0xFFFF),
    ),
    Breakage(
        "ICSR shows no VECTPENDING",
        "nvic_vectpending_names_highest_that_is_masked",
        SystemControlSpace,
        "_read_icsr",
        _result(lambda value: value & ~0x1FF000),
    ),
    Breakage(
        "ICSR shows no RETTOBASE",
        "nvic_rettobase_when_alone",
        SystemControlSpace,
        "_read_icsr",
        _result(lambda value: value & ~0x800),
    ),
    Breakage(
        "VTOR cannot be moved",
        "vtor_moves_the_handlers",
        SystemControlSpace,
        "_write_vtor",
        lambda original: lambda self, value: original(self, value if not self.vtor else self.vtor),
    ),
    Breakage(
        "VTOR keeps its low bits",
        "vtor_reads_back_aligned",
        SystemControlSpace,
        "_write_vtor",
        lambda _o: lambda self, value: setattr(self, "vtor", value),
    ),
    Breakage(
        "BASEPRI masks nothing",
        "mask_basepri_holds_equal_priority",
        ExceptionState,
        "execution_priority",
        lambda original: lambda self, primask, _basepri, faultmask: original(self, primask, 0, faultmask),
    ),
    Breakage(
        "PRIMASK masks nothing",
        "mask_set_again_before_anything_pends",
        ExceptionState,
        "execution_priority",
        lambda original: lambda self, _primask, basepri, faultmask: original(self, 0, basepri, faultmask),
    ),
    Breakage(
        "FAULTMASK masks nothing",
        "mask_msr_faultmask_takes_at_once",
        ExceptionState,
        "execution_priority",
        lambda original: lambda self, primask, basepri, _faultmask: original(self, primask, basepri, 0),
    ),
    Breakage(
        "nothing is looked at after unmasking",
        "mask_cpsie_i_takes_at_once",
        RunLoop,
        "_consider",
        _after(lambda self: setattr(self._p.native, "watch_masks", 0)),
    ),
    Breakage(
        "stores are not followed by a look",
        "store_to_icsr_is_taken_before_the_next",
        RunLoop,
        "reconsider",
        lambda _o: lambda self: setattr(self._p, "attention", True),
    ),
    Breakage("frames are never padded", "frame_on_an_unaligned_stack_is_padded", frames, "_STKALIGN", _constant(0)),
    Breakage(
        "EXC_RETURN forgets the process stack", "svc_privileged_on_process_stack", frames, "_PROCESS", _constant(0)
    ),
    Breakage(
        "flags are not restored", "status_flags_and_ge_restored_by_return", frames, "_XPSR_KEPT", _constant(0x0700FC00)
    ),
    Breakage("the handler keeps IT", "it_handler_begins_without_it", frames, "_FLAGS", _constant(0xFE0FFC00)),
    Breakage(
        "SVC returns to itself",
        "svc_privileged_on_main_stack",
        ExceptionUnit,
        "_synchronous",
        _argument(2, lambda address: address - 2),
    ),
    Breakage("any EXC_RETURN will do", "integrity_unknown_exc_return", Diagnosis, "invalid_return", _answers(None)),
    Breakage("faults do not escalate", "escalated_usage_fault", ExceptionState, "can_take", _answers(True)),
    Breakage("CFSR stays zero", "fault_undefined_instruction", FaultRecord, "record", _answers(None)),
    Breakage(
        "BFAR is not valid",
        "fault_load_from_nowhere",
        fault_record,
        "CFSR_BITS",
        lambda bits: {k: v for k, v in bits.items() if k != "BFARVALID"},
    ),
    Breakage(
        "the stacked PC is behind the fault",
        "fault_undefined_instruction",
        ExceptionUnit,
        "take",
        _argument(2, lambda address: address + 2),
    ),
    Breakage(
        "stacking needs no memory",
        "stacking_error_taken_first_when_higher",
        ExceptionUnit,
        "_stack_fault",
        _answers(None),
    ),
    Breakage("division by zero is not trapped", "div_0_trp_traps_udiv", Ports, "traps_changed", _answers(None)),
    Breakage("a trapped access is a division", "unalign_trp_traps_a_word", abi, "TRAP_DIVISION", _constant(2)),
    Breakage(
        "exclusives survive exceptions",
        "exclusive_cleared_by_an_exception",
        ExceptionUnit,
        "_clear_exclusive",
        _answers(None),
    ),
    Breakage(
        "MSR of an unaligned stack pointer is lost",
        "control_sp_low_bits_are_zero",
        Instructions,
        "_write_stack_pointer",
        _constant(_skip_instruction),
    ),
    Breakage(
        "IT blocks are run to their end",
        "it_interrupt_in_the_middle",
        RunLoop,
        "reconsider",
        _constant(_stop_at_block_end),
    ),
    Breakage(
        "what ran inside an IT block is not undone", "div_0_trp_in_an_it_block", Execution, "_undo", _answers(None)
    ),
    Breakage(
        "IT is lost at a fault", "it_fault_at_a_store", Execution, "_take_back", _after(lambda self: self._p.set_it(0))
    ),
    Breakage(
        "floating-point context is stacked at once",
        "fp_lazy_frame_is_not_written",
        Frames,
        "push",
        lambda original: lambda self, *args, lazy: original(self, *args, lazy=False),
    ),
    Breakage("LSPACT is never shown", "fp_lazy_state_while_active", floating_point, "_LSPACT", _constant(0)),
    Breakage(
        "a lazy frame is never written", "fp_lazy_frame_is_written_by_the_first_use", Frames, "preserve", _answers(None)
    ),
    Breakage(
        "FPDSCR is ignored",
        "fp_handler_begins_with_the_default_fpscr",
        Frames,
        "begin_floating_point",
        _argument(1, lambda _fpscr: 0),
    ),
    Breakage(
        "CPACR grants to all",
        "fp_privileged_access_only",
        SystemControlSpace,
        "fp_access",
        lambda _o: property(lambda self: 3 if self.cpacr else 0),
    ),
    Breakage(
        "COUNTFLAG is kept",
        "systick_writing_the_value_clears_flag_and_value",
        SysTick,
        "write_value",
        _after(lambda self, now: setattr(self, "_flag", True)),
    ),
    Breakage(
        "SysTick counts one too far",
        "systick_stays_within_reload",
        SysTick,
        "read_value",
        _result(lambda pair: (pair[0] + 1, pair[1])),
    ),
    Breakage(
        "SysTick never interrupts",
        "systick_interrupts_a_busy_loop",
        SysTick,
        "advance",
        _result(lambda _due: False),
    ),
    Breakage(
        "WFI sleeps through what is masked",
        "wfi_ends_for_what_primask_holds_back",
        ExceptionState,
        "wakes",
        _answers(None),
    ),
    Breakage("WFE has no event", "wfe_ends_after_sev", Processor, "set_event", _answers(None)),
    Breakage(
        "reset keeps the registers",
        "reset_restarts_the_chip",
        SystemControlSpace,
        "reset",
        lambda original: lambda self: None if hasattr(self, "ccr") else original(self),
    ),
    Breakage(
        "no limit of the stack at entry",
        "psplim_stops_exception_entry",
        ExceptionUnit,
        "connect",
        _after(_without_limits),
        "m33",
    ),
    Breakage(
        "who rings does not wait for whom it rang",
        "doorbell_comes_before_what_is_stored_after_it",
        RunLoop,
        "pause",
        _answers(None),
        "two",
    ),
    Breakage(
        "a reset leaves lines high", "reset_quiets_the_mailboxes", Timeline, "release_lines", _answers(None), "two"
    ),
    Breakage(
        "doorbells come to the first core",
        "bell_does_not_interrupt_who_rings",
        Wiring,
        "set_interrupt",
        _argument(1, lambda _nvic: "nvic0"),
        "two",
    ),
    Breakage(
        "a line that falls unpends",
        "bell_taken_back_stays_pending",
        ExceptionState,
        "set_line",
        _after(_unpend_what_fell),
        "two",
    ),
    Breakage(
        "a line that stays high is taken once",
        "bell_that_is_not_cleared_comes_again",
        ExceptionState,
        "leave",
        lambda _o: lambda self, number: self.set_active(number, False),
        "two",
    ),
    Breakage(
        "ICPR unpends a line that is high",
        "bell_unpended_while_it_rings_is_pending_again",
        ExceptionState,
        "pend_word",
        _after(_unpend_even_so),
        "two",
    ),
    Breakage(
        "SEV is heard by its own core alone",
        "wfe_loop_ended_by_sev_of_the_other_core",
        Wiring,
        "send_event",
        lambda _o: lambda _self, core: core.set_event(),
        "two",
    ),
    Breakage(
        "a sleeping core hears no doorbell",
        "wfi_ended_by_a_doorbell",
        Timeline,
        "post",
        lambda original: lambda self, *args: None if self._p.sleeping else original(self, *args),
        "two",
    ),
    Breakage(
        "exclusives survive a doorbell",
        "exclusive_broken_by_a_doorbell",
        ExceptionUnit,
        "_clear_exclusive",
        _answers(None),
        "two",
    ),
    Breakage(
        "what the other core writes is not translated again",
        "code_written_by_the_other_core",
        BoardMemory,
        "changes",
        _answers(None),
        "two",
    ),
    Breakage(
        "a memory has one address in the host",
        "code_written_by_the_other_core",
        store_module,
        "_same_memory",
        lambda original: lambda size, count: original(size, 1) * count,
        "two",
    ),
    Breakage(
        "INITSVTOR changes nothing",
        "boot_second_from_a_table_in_shared_memory",
        Wiring,
        "set_vector_table",
        _answers(None),
        "two",
    ),
    Breakage(
        "both cores have an FPU",
        "fpu_is_the_second_cores",
        core_module,
        "features_of",
        lambda original: lambda model, **_fpu: original(model),
        "two",
    ),
    Breakage(
        "a doorbell ends no lower handler",
        "bell_of_higher_priority_preempts",
        ExceptionState,
        "execution_priority",
        lambda original: lambda self, *masks: 0 if self.active else original(self, *masks),
        "two",
    ),
)


def notices(breakage: Breakage, reference: Program) -> bool:
    """Whether the case differs from the reference, or ends the engine, while the engine is broken."""
    selection = Selection(reference.number, only_one=True)
    with breakage.applied():
        try:
            # What is broken is Python's, and that takes no exception which native code can take.
            seen = run_on_unicorn(CORE_TYPES[breakage.core], selection, _PATIENCE_NS, native_exceptions=False)
        except Exception:  # whatever a broken engine does
            return True
    return [program.lines for program in seen] != [reference.lines]
