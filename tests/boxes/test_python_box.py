"""The `python` box: values and errors as a small model reads them; packages where the user allows them, or without."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boxwright.box import Release
from boxwright.errors import SandboxMissing, ToolLimitReached, ToolRefused
from boxwright.registry import Registry, open_registry
from boxwright.registry.registry import library_folder
from boxwright.sandbox import Sandbox, ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.sandbox.packages import Packages
from boxwright.sandbox.process import Process
from boxwright.sandbox.trust import Trust
from boxwright.settings import Settings

NAMES = ["mpmath", "numpy", "sympy"]


@pytest.fixture
def release() -> Release:
    return Registry(library_folder()).resolve("python")


@pytest.fixture
async def installed(bubblewrap: Bubblewrap, tmp_path: Path) -> AsyncIterator[ToolRunner]:
    """A runner whose user allows the box's packages, or a skip where they cannot be had."""
    pytest.importorskip("uv", reason="the extra packages is not installed")
    folder = tmp_path / "environments"
    async with ToolRunner(Bubblewrap(Packages(folder, NAMES))) as runner:
        try:
            async with runner.worker(Registry(library_folder()).resolve("python")):
                pass
        except SandboxMissing as error:
            pytest.skip(f"numpy and sympy cannot be installed here: {error}")
        yield runner
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


async def value(runner: ToolRunner, release: Release, code: str) -> Any:
    outcome = await runner.call(release, "run", {"code": code})
    assert isinstance(outcome, dict)
    return outcome["value"]


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("1 / 8", 0.125),
        ("(1, 'a', None, True)", [1, "a", None, True]),
        ("{3, 1, 2}", [1, 2, 3]),
        ("{'a': {1: 2}, (1, 2): 3}", {"a": {"1": 2}, "(1, 2)": 3}),
        ("map(abs, [-1, 2])", [1, 2]),
        ("float('nan'), float('inf'), 1 + 2j", ["nan", "inf", "(1+2j)"]),
        ("2**53, 2**53 + 1", [2**53, str(2**53 + 1)]),
        ("from decimal import Decimal\nDecimal('0.1') * 3", "0.3"),
        ("lambda: 1", "<function <lambda>>"),
        ("math.gcd(12, 18)", 6),
        ("x = 2\nx += 3", 5),
        ("a = [1]\na[0] = 7", 7),
        ("```\n1 + 1\n```", 2),
        ("x = 1\\nx + 1", 2),
        ("'\\ud800'", "?"),
    ],
)
async def test_the_value_of_the_last_line_comes_as_json_or_text(
    code: str, result: object, release: Release, runner: ToolRunner
) -> None:
    assert await value(runner, release, code) == result


async def test_what_is_long_is_cut_in_its_middle_and_says_so(release: Release, runner: ToolRunner) -> None:
    outcome = await runner.call(release, "run", {"code": "print('x' * 10_000)\nmath.factorial(3000)"})
    assert isinstance(outcome, dict)
    assert "(6,001 characters left out)" in str(outcome["printed"])
    assert "characters left out" in str(outcome["value"])
    assert len(str(outcome["value"])) < 4_100


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "def f(n):\n    return 1 / n\n\nf(0)",
            "line 4: f(0)\nline 2: return 1 / n\nZeroDivisionError: division by zero",
        ),
        ("for n in range(3) print(n)", "line 1: for n in range(3) print(n)\nSyntaxError"),
        ("d = {}\nd['a']", "KeyError: 'a'"),
        ("# nothing", "no statement"),
        (" \n", "code must be a program"),
        ("def f(): return 1", "end it with an expression"),
        ("input('name?')", "EOFError"),
        ("raise SystemExit('over')", "ended itself with 'over'"),
        ("import numpy", "numpy is not installed here.*BOXWRIGHT_PACKAGES=mpmath,numpy,sympy"),
        ("sp.symbols('x')", "sympy is not installed here"),
        ("import os\nos.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['ls'])", "PermissionError"),
        ("open('/box/tools.py', 'a')", "OSError|PermissionError"),
    ],
)
async def test_a_program_that_fails_is_refused_with_the_lines_that_failed(
    code: str, words: str, release: Release, runner: ToolRunner
) -> None:
    with pytest.raises(ToolRefused, match=words.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        await runner.call(release, "run", {"code": code})


async def test_a_program_that_takes_too_much_memory_is_told_so(release: Release, runner: ToolRunner) -> None:
    with pytest.raises(ToolLimitReached, match="memory"):
        await runner.call(release, "run", {"code": "[0] * 10**10"})


async def test_nothing_is_kept_between_calls(release: Release, runner: ToolRunner) -> None:
    code = "import builtins\nold = getattr(builtins, 'kept', 0)\nbuiltins.kept = 1\nold"
    assert [await value(runner, release, code) for _ in range(3)] == [0, 0, 0]


async def test_what_runs_any_code_is_listed_and_not_run_without_a_real_sandbox(settings: Settings) -> None:
    release = open_registry(settings).resolve("python")
    async with ToolRunner(Process(Trust(settings.home), "install bubblewrap")) as runner:
        with pytest.raises(SandboxMissing, match="may run only in a real sandbox"):
            await runner.call(release, "run", {"code": "1"})


async def test_one_package_allowed_of_three_is_none_and_no_error(
    release: Release, sandbox: Sandbox, tmp_path: Path
) -> None:
    packages = Packages(tmp_path / "environments", ["numpy"])
    assert await packages.environment(release) is None
    async with ToolRunner(Bubblewrap(packages)) as runner:
        assert await value(runner, release, "sum(range(5))") == 10


@pytest.mark.extended
@pytest.mark.timeout(700)
async def test_numpy_and_sympy_work_in_the_sandbox_where_they_are_allowed(
    installed: ToolRunner, release: Release
) -> None:
    for code, result in (
        ("import numpy as np\nnp.linalg.solve(np.array([[2, 1], [1, 3]]), np.array([3, 5]))", [0.8, 1.4]),
        (
            "np.arange(6).reshape(2, 3), np.float32(1.5), np.int64(7), np.bool_(True)",
            [[[0, 1, 2], [3, 4, 5]], 1.5, 7, True],
        ),
        ("(np.ones((300, 300)) @ np.ones((300, 300))).sum()", 300.0**3),
        ("np.array([1, np.nan])", [1.0, "nan"]),
        ("import sympy\nx = sympy.symbols('x')\nsympy.solve(x**2 - 5*x + 6, x)", [2, 3]),
        ("x = sp.symbols('x')\nsp.integrate(sp.sin(x)**2, x)", "x/2 - sin(x)*cos(x)/2"),
        ("sympy.Rational(1, 3) + sympy.sqrt(2)", "1/3 + sqrt(2)"),
        ("sympy.Matrix([[1, 2], [3, 4]]).inv()", "Matrix([[-2, 1], [3/2, -1/2]])"),
    ):
        got = await value(installed, release, code)
        assert got == (pytest.approx(result) if code.startswith("import numpy") else result), code
