"""Numba's compiler without the steps that kernels do not need (first fit: 8.6 -> 5.4 s).

A kernel is some fifty functions, one of which is called, by its address; the others are parts,
linked into it. Numba on its own optimises each part by itself and again in every function
around it, and makes machine code of it each time.
"""

from typing import Any, ClassVar

import llvmlite.binding as llvm
from numba import _dynfunc
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

# By name: one that a version of Numba does not have is not missed. They are for closures, `with`,
# literal_unroll, branches on argument types, array expressions, object mode.
_UNUSED = frozenset(
    {
        "AnnotateTypes",
        "DeadBranchPrune",
        "DumpParforDiagnostics",
        "FindLiterallyCalls",
        "InlineClosureLikes",
        "InlineOverloads",
        "LiteralPropagationSubPipelinePass",
        "LiteralUnroll",
        "MakeFunctionToJitFunction",
        "NoPythonSupportedFeatureValidation",
        "NopythonRewrites",
        "RewriteDynamicRaises",
        "RewriteSemanticConstants",
        "WithLifting",
    }
)


class _Compiler(CompilerBase):
    replaced: ClassVar[dict[type, type]] = {}

    def define_pipelines(self) -> list[Any]:
        """Return the default passes that are of use."""
        default = DefaultPassBuilder.define_nopython_pipeline(self.state)
        default.passes = [
            (self.replaced.get(step, step), description)
            for step, description in default.passes
            if step.__name__ not in _UNUSED
        ]
        default.finalize()
        return [default]


class _Kernel(JITCodeLibrary):
    """Code of a whole kernel: loops are vectorised, but not unrolled as well.

    Unrolled they take 0.8 s more to compile, and the same to run.
    """

    def _optimize_final_module(self) -> None:
        codegen = self._codegen
        manager, builder = codegen._module_pass_manager(
            loop_vectorize=codegen._loopvect, opt=codegen._opt_level, cost="cheap"
        )
        manager.run(self._final_module, builder)
        options = llvm.create_pipeline_tuning_options(speed_level=int(config.OPT))
        options.loop_vectorization = bool(config.LOOP_VECTORIZE)
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(codegen._tm, options)
        builder.getModulePassManager().run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerKernel(NativeLowering):
    _name = "fastgmm_lower_kernel"

    def run_pass(self, state: Any) -> bool:
        state.library = _Kernel(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


class KernelCompiler(_Compiler):
    """Compile what is called by its address."""

    replaced: ClassVar[dict[type, type]] = {NativeLowering: _LowerKernel}


class _Part(JITCodeLibrary):
    """Code for other functions to link, which is optimised there and nowhere else."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(NativeLowering):
    """Lower a function to code for linking, and let callers know where it is."""

    _name = "fastgmm_lower_part"

    def run_pass(self, state: Any) -> bool:
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        description = lowered.fndesc
        # stands for the function where callers look it up; its code begins nowhere
        key = _dynfunc.make_function(
            description.lookup_module(), description.qualname, "", 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(key, description, [state.library])
        state["cr"] = lowered._replace(cfunc=key)
        return True


class PartCompiler(_Compiler):
    """Compile what is linked into kernels."""

    replaced: ClassVar[dict[type, type]] = {NativeLowering: _LowerPart}
