"""Fast compilation: all that fastgmm uses of Numba's private parts.

A pass is some sixty functions, of which Python calls one. Numba on its own optimises each of them
by itself and again in every function around it, makes machine code of it each time, and does all
of this four times for a function with a parallel loop. Here a part is typed and lowered once, and
optimised once: in the pass that it is linked into. The results are the same bits.

``jit.py`` takes the compilers from here, ``switch.py`` falls back where something is missing.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import llvmlite.binding as llvm
from numba import _dynfunc, types
from numba.core import config, lowering
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering, NativeParforLowering

# By name: one that a version of Numba does not have is not missed. They are for closures, `with`,
# literal_unroll, branches on argument types, array expressions, object mode.
# fmt: off
_UNUSED = {
    "AnnotateTypes", "DeadBranchPrune", "DumpParforDiagnostics", "FindLiterallyCalls",
    "InlineClosureLikes", "InlineOverloads", "LiteralPropagationSubPipelinePass", "LiteralUnroll",
    "MakeFunctionToJitFunction", "NoPythonSupportedFeatureValidation", "NopythonRewrites",
    "RewriteDynamicRaises", "RewriteSemanticConstants", "WithLifting",
}
# fmt: on

# Assigned to or overridden below, which nobody would heed if Numba did not know them.
_ASSIGNED = JITCPUCodegen._library_class, JITCPUCodegen.set_env, Flags.no_compile, Flags.nrt
_OVERRIDDEN = CompilerBase.define_pipelines, NativeLowering.run_pass, NativeParforLowering.run_pass

# What Python would call if it called code for linking: it raises an error.
_NO_ENTRY = ctypes.cast(ctypes.pythonapi.PyErr_NoMemory, ctypes.c_void_p).value


class _Flags(Flags):
    """Compile flags that are compared by what is set, which saves 0.4 s of a first fit."""

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __eq__(self, other: object) -> bool:
        return bool(self._values == getattr(other, "_values", None))


class _Compiler(CompilerBase):
    """Numba's compiler without the steps that kernels do not need."""

    replaced: ClassVar[dict[type, type]] = {}
    needs: ClassVar[dict[str, bool]] = {}

    def __init__(self, *arguments: Any) -> None:
        *first, flags, variables = arguments
        own = _Flags()
        own._values.update(flags._values)
        for name, value in self.needs.items():
            setattr(own, name, value)
        super().__init__(*first, own, variables)
        _ = self.state.library  # as above

    def define_pipelines(self) -> list[Any]:
        default = DefaultPassBuilder.define_nopython_pipeline(self.state)
        default.passes = [
            (self.replaced.get(step, step), description)
            for step, description in default.passes
            if step.__name__ not in _UNUSED
        ]
        default.finalize()
        return [default]


class _Part(JITCodeLibrary):
    """Code for others to link, which is not machine code, and not linked to what it calls."""

    _shared_module: Any

    def finalize(self) -> None:
        """Let the module be linked into others."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002
        """Return no address: there is no machine code."""
        return 0

    def _get_module_for_linking(self) -> Any:
        """Return the code of the part and of all that it calls, for a library of Numba's own."""
        self._ensure_finalized()
        if self._shared_module is None:
            module = self._final_module.clone()
            for other in _modules(self._linking_libraries):
                module.link_in(other, preserve=True)
            for function in module.functions:
                if not function.is_declaration and function.linkage == llvm.Linkage.external:
                    function.linkage = "linkonce_odr"
            self._shared_module = module
        return self._shared_module


def _modules(libraries: Any) -> list[Any]:
    """Return the modules of libraries and of all that they link, each once; those of parts first.

    LLVM leaves out what nobody has asked for when a module of Numba's own is linked.
    """
    seen: dict[Any, Any] = {}
    waiting = list(libraries)
    while waiting:
        library = waiting.pop()
        if library not in seen and isinstance(library, _Part):
            waiting.extend(library._linking_libraries)
            seen[library] = library._final_module
        elif library not in seen:
            seen[library] = library._get_module_for_linking()
    return [seen[library] for library in sorted(seen, key=lambda one: not isinstance(one, _Part))]


class _Pass(JITCodeLibrary):
    """Code of a whole pass, optimised once; loops are vectorised, but not unrolled as well.

    Unrolled they take 0.8 s more to compile, and the same to run.
    """

    def finalize(self) -> None:
        """Link all parts, of which nothing but the pass itself is seen from outside."""
        self._raise_if_finalized()
        module = self._final_module
        own = {function.name for function in module.functions if not function.is_declaration}
        for part in _modules(self._linking_libraries):
            module.link_in(part, preserve=True)
        for function in module.functions:
            if not function.is_declaration and function.name not in own:
                function.linkage = "internal"
                # it may have lost its unused results: no other module may find it by its name
                function.name += ".in_pass"
        self._optimize_final_module()
        module.verify()
        self._finalize_final_module()

    def _optimize_final_module(self) -> None:
        codegen = self._codegen
        options = llvm.create_pipeline_tuning_options(speed_level=int(config.OPT))
        options.loop_vectorization = bool(config.LOOP_VECTORIZE)
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(codegen._tm, options)
        builder.getModulePassManager().run(self._final_module, builder)


class _Lower(lowering.Lower):
    """Read and write elements of flat arrays without looking up how (0.4 s of a first fit)."""

    def _place(self, array: Any, index: Any) -> Any:
        """Return where an element stands, or None if this is not for us."""
        kind, at = self.typeof(array.name), self.typeof(index.name)
        is_flat = isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C"
        if not is_flat or not isinstance(kind.dtype, (types.Float, types.Integer)):
            return None
        if isinstance(at, types.IntegerLiteral) and at.literal_value >= 0:
            offset = self.context.get_constant(types.uint64, at.literal_value)
        elif at == types.uint64:
            offset = self.loadvar(index.name)
        else:
            return None
        data = self.context.data_model_manager[kind].get_field_position("data")
        return self.builder.gep(
            self.builder.extract_value(self.loadvar(array.name), data), [offset]
        )

    def lower_getitem(self, resty: Any, expr: Any, value: Any, index: Any, signature: Any) -> Any:
        """Lower value[index]."""
        place = self._place(value, index)
        if place is None:
            return super().lower_getitem(resty, expr, value, index, signature)
        dtype = self.typeof(value.name).dtype
        return self.context.cast(self.builder, self.builder.load(place), dtype, resty)

    def lower_setitem(self, target_var: Any, index_var: Any, value_var: Any, signature: Any) -> Any:
        """Lower target[index] = value."""
        place = self._place(target_var, index_var)
        if place is None:
            return super().lower_setitem(target_var, index_var, value_var, signature)
        dtype, kind = self.typeof(target_var.name).dtype, self.typeof(value_var.name)
        value = self.context.cast(self.builder, self.loadvar(value_var.name), kind, dtype)
        return self.builder.store(value, place)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(NativeLowering):
    """Lower a function to code for linking, and let callers know where it is."""

    _name = "fastgmm_lower_part"

    @property
    def lowering_class(self) -> type:
        return _Lower

    def run_pass(self, state: Any) -> bool:
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        super().run_pass(state)
        lowered = state["cr"]
        description = lowered.fndesc
        # where callers in compiled code look the part up; Python calls its twin
        where = description.lookup_module(), description.qualname, ""
        entry = _dynfunc.make_function(*where, _NO_ENTRY, lowered.env, (state.library,))
        state.targetctx.insert_user_function(entry, description, [state.library])
        state["cr"] = lowered._replace(cfunc=entry)
        return True


class _Twin(CPUDispatcher):
    """A part that, where Python calls it, runs as Numba compiles it on its own."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.twin()(*arguments, **named)


def let_python_call(part: Any, twin: Callable[[], Any]) -> None:
    """Say what compiles a part on its own, for Python to call."""
    part.__class__ = _Twin
    part.twin = twin


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPass(NativeParforLowering):
    """Lower a pass; what Numba makes of a parallel loop are parts of it."""

    _name = "fastgmm_lower_pass"

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _Pass(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        state.flags.no_compile = True
        _ = codegen._library_class, codegen.set_env  # what Numba lacks it would not look up
        codegen._library_class = _Part
        codegen.set_env = lambda *_: None  # a part without machine code has none in memory
        try:
            super().run_pass(state)
        finally:
            del codegen._library_class, codegen.set_env
        lowered = state["cr"]
        entry = state.targetctx.get_executable(state.library, lowered.fndesc, lowered.env)
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        state["cr"] = lowered._replace(cfunc=entry)
        return True


class _SlotCompiler(_Compiler):
    """Compile a part that allocates or hands out memory."""

    replaced: ClassVar[dict[type, type]] = {NativeLowering: _LowerPart}
    needs: ClassVar[dict[str, bool]] = {
        "no_compile": True,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }


class _PartCompiler(_SlotCompiler):
    """Compile a part that does not: references to its arrays are not counted."""

    needs: ClassVar[dict[str, bool]] = {**_SlotCompiler.needs, "nrt": False}


class _PassCompiler(_Compiler):
    """Compile a pass, which Python calls."""

    replaced: ClassVar[dict[type, type]] = {NativeParforLowering: _LowerPass}
    needs: ClassVar[dict[str, bool]] = {"no_cfunc_wrapper": True}


#: Options of ``njit``.
SLOT = {"pipeline_class": _SlotCompiler}
PART = {"pipeline_class": _PartCompiler}
PASS = {"pipeline_class": _PassCompiler}
#: Where the layer is off: nobody calls kernels as C functions (0.5 s of a first fit).
OFF = {"no_cfunc_wrapper": True}


@cache
def _fingerprint(is_on: bool) -> tuple[float, int]:
    digest = hashlib.sha256(bytes([is_on]))
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return 0.0, int.from_bytes(digest.digest()[:8], "little")


def guard_cache(dispatcher: Any, is_on: bool, report: Callable[[object], None]) -> None:
    """Make a function's disk cache depend on all kernel sources, and survive damage.

    Numba compares the time and size of the one file that a function stands in, and so runs
    stale code after a change in a callee elsewhere, or after an upgrade that keeps times.

    Raises
    ------
    AttributeError
        If this version of Numba keeps its cache elsewhere: it must not be trusted then.
    """
    cache_file = dispatcher._cache._cache_file
    if not hasattr(cache_file, "_source_stamp"):
        raise AttributeError(f"{type(cache_file).__name__} has no _source_stamp")
    cache_file._source_stamp = _fingerprint(is_on)
    dispatcher._cache = _GuardedCache(dispatcher._cache, report)


class _GuardedCache:
    """A disk cache that is done without where it fails."""

    def __init__(self, cache: Any, report: Callable[[object], None]) -> None:
        self._cache = cache
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception as error:
            self._report(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._cache.save_overload(sig, data)
        except Exception as error:
            self._report(error)


if hasattr(os, "register_at_fork"):
    # a fork waits for a compilation: in the child nobody would be left to release the lock
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )
