"""Small exact algebra on expression trees: simplify, collect, split into a linear part, differentiate."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from ..lems.expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise, names, operands, rebuild

ZERO, ONE = Num(0.0), Num(1.0)
_C_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "exp": math.exp, "sqrt": math.sqrt, "log": math.log, "log10": math.log10, "abs": abs,
    "ceil": math.ceil, "floor": math.floor, "H": lambda x: 0.5 * (1 + (x > 0) - (x < 0)),
}  # fmt: skip


def add(left: Expr, right: Expr) -> Expr:
    """left + right, simplified at the top."""
    if isinstance(left, Num) and isinstance(right, Num):
        return Num(left.value + right.value)
    if left == ZERO:
        return right
    if right == ZERO:
        return left
    if isinstance(right, Neg):
        return subtract(left, right.arg)
    if isinstance(left, Neg):
        return subtract(right, left.arg)
    if isinstance(right, Num) and right.value < 0:
        return Bin("-", left, Num(-right.value))
    return Bin("+", left, right)


def subtract(left: Expr, right: Expr) -> Expr:
    """left - right, simplified at the top."""
    if isinstance(left, Num) and isinstance(right, Num):
        return Num(left.value - right.value)
    if right == ZERO:
        return left
    if left == ZERO:
        return negate(right)
    if isinstance(right, Neg):
        return add(left, right.arg)
    if isinstance(right, Num) and right.value < 0:
        return Bin("+", left, Num(-right.value))
    if left == right:
        return ZERO
    return Bin("-", left, right)


def negate(arg: Expr) -> Expr:
    """-arg; a difference is turned round, so that erev - v becomes v - erev."""
    if isinstance(arg, Num):
        return Num(-arg.value)
    if isinstance(arg, Neg):
        return arg.arg
    if isinstance(arg, Bin) and arg.op == "-":
        return Bin("-", arg.right, arg.left)
    if isinstance(arg, Bin) and arg.op == "*" and isinstance(arg.left, Num):
        return multiply(Num(-arg.left.value), arg.right)
    return Neg(arg)


def multiply(*factors: Expr) -> Expr:
    """The product, with numbers collected and equal factors of numerator and denominator cancelled."""
    return _product(list(factors), [])


def divide(left: Expr, right: Expr) -> Expr:
    """left / right, collected as in multiply."""
    return _product([left], [right])


def _factors(expr: Expr, power: int, top: list[Expr], bottom: list[Expr]) -> float:
    """Split products and quotients into factors; the return value is the numeric factor."""
    if isinstance(expr, Num):
        if power > 0 or abs(expr.value) >= sys.float_info.min:  # else there is no number that is its reciprocal
            return expr.value**power
    if isinstance(expr, Neg):
        return -_factors(expr.arg, power, top, bottom)
    if isinstance(expr, Bin) and expr.op == "*":
        return _factors(expr.left, power, top, bottom) * _factors(expr.right, power, top, bottom)
    if isinstance(expr, Bin) and expr.op == "/":
        return _factors(expr.left, power, top, bottom) * _factors(expr.right, -power, top, bottom)
    (top if power > 0 else bottom).append(expr)
    return 1.0


def _product(over: list[Expr], under: list[Expr]) -> Expr:
    top: list[Expr] = []
    bottom: list[Expr] = []
    number = 1.0
    for expr in over:
        number *= _factors(expr, 1, top, bottom)
    for expr in under:
        number *= _factors(expr, -1, top, bottom)
    for factor in list(bottom):
        if factor in top:
            top.remove(factor)
            bottom.remove(factor)
    if number == 0.0 and not any(isinstance(factor, Num) for factor in bottom):
        return ZERO
    product = _chain(top)
    if number < 0:
        # turn one difference round rather than negate the product: (erev - v) becomes (v - erev)
        for index, factor in enumerate(top):
            if isinstance(factor, Bin) and factor.op == "-":
                top[index] = Bin("-", factor.right, factor.left)
                number, product = -number, _chain(top)
                break
    below = _chain(bottom)
    if number == -1.0 and product is not None:
        result: Expr = Neg(product)
    elif number != 1.0 or product is None:
        result = Num(number) if product is None else Bin("*", Num(number), product)
    else:
        result = product
    return result if below is None else Bin("/", result, below)


def _chain(factors: list[Expr]) -> Expr | None:
    product: Expr | None = None
    for factor in factors:
        product = factor if product is None else Bin("*", product, factor)
    return product


def power(base: Expr, exponent: Expr) -> Expr:
    """base ^ exponent, simplified at the top."""
    if exponent == ONE:
        return base
    if exponent == ZERO:
        return ONE
    if isinstance(base, Num) and isinstance(exponent, Num):
        try:
            value = base.value**exponent.value
            if isinstance(value, float) and math.isfinite(value):
                return Num(value)
        except (OverflowError, ZeroDivisionError):
            pass
    return Bin("^", base, exponent)


def simplify(expr: Expr) -> Expr:
    """Fold numbers, drop neutral elements and collect products, bottom up. Values change by rounding at most."""
    parts = tuple(simplify(part) for part in operands(expr))
    if isinstance(expr, Neg):
        return negate(parts[0])
    if isinstance(expr, Bin):
        left, right = parts
        match expr.op:
            case "+":
                return add(left, right)
            case "-":
                return subtract(left, right)
            case "*":
                return multiply(left, right)
            case "/":
                return divide(left, right)
            case _:
                return power(left, right)
    if isinstance(expr, Call):
        arg = parts[0]
        if isinstance(arg, Num) and expr.function in _C_FUNCTIONS:
            try:
                return Num(float(_C_FUNCTIONS[expr.function](arg.value)))
            except (ValueError, OverflowError):
                pass
        return Call(expr.function, arg)
    if isinstance(expr, Cmp) and isinstance(parts[0], Num) and isinstance(parts[1], Num):
        return truth(_compare(expr.op, parts[0].value, parts[1].value))
    if isinstance(expr, Logic):
        known = [_known(part) for part in parts]
        stop = expr.op == "or"
        if stop in known:
            return truth(stop)
        if known[0] is not None:
            return parts[1]
        if known[1] is not None:
            return parts[0]
    if isinstance(expr, Piecewise):
        return _piecewise(rebuild(expr, parts))
    return rebuild(expr, parts) if parts else expr


TRUE, FALSE = Cmp("==", ZERO, ZERO), Cmp("!=", ZERO, ZERO)


def truth(value: bool) -> Expr:
    """A comparison that always holds, or never."""
    return TRUE if value else FALSE


def _known(expr: Expr) -> bool | None:
    return True if expr == TRUE else False if expr == FALSE else None


def _compare(op: str, a: float, b: float) -> bool:
    return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b, "==": a == b, "!=": a != b}[op]


_OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}


def _piecewise(expr: Expr) -> Expr:
    if not isinstance(expr, Piecewise):
        return expr
    cases: list[tuple[Expr | None, Expr]] = []
    for condition, value in expr.cases:
        if condition == FALSE:
            continue
        if condition == TRUE:
            condition = None
        if cases and isinstance(condition, Cmp):
            # the second of two opposite conditions is a plain "else"
            opposite = Cmp(_OPPOSITE[condition.op], condition.left, condition.right)
            if any(earlier == opposite for earlier, _ in cases):
                condition = None
        cases.append((condition, value))
        if condition is None:
            break
    if cases and cases[0][0] is None:
        return cases[0][1]
    return Piecewise(tuple(cases))


def linear(expr: Expr, variable: str) -> tuple[Expr, Expr] | None:
    """(a, b) with expr = a*variable + b and both free of it, or None if the expression is not linear in it."""
    if variable not in names(expr):
        return ZERO, expr
    if isinstance(expr, Name):
        return ONE, ZERO
    if isinstance(expr, Neg):
        inner = linear(expr.arg, variable)
        return None if inner is None else (negate(inner[0]), negate(inner[1]))
    if isinstance(expr, Piecewise):
        if any(condition is not None and variable in names(condition) for condition, _ in expr.cases):
            return None
        split = [linear(value, variable) for _, value in expr.cases]
        if any(part is None for part in split):
            return None
        slopes = tuple((c, s[0]) for (c, _), s in zip(expr.cases, split, strict=True) if s is not None)
        rests = tuple((c, s[1]) for (c, _), s in zip(expr.cases, split, strict=True) if s is not None)
        return _same(slopes), _same(rests)
    if not isinstance(expr, Bin) or expr.op == "^":
        return None
    left, right = linear(expr.left, variable), linear(expr.right, variable)
    if left is None or right is None:
        return None
    (a, b), (c, d) = left, right
    match expr.op:
        case "+":
            return add(a, c), add(b, d)
        case "-":
            return subtract(a, c), subtract(b, d)
        case "*" if a == ZERO:
            return multiply(b, c), multiply(b, d)
        case "*" if c == ZERO:
            return multiply(a, d), multiply(b, d)
        case "/" if c == ZERO:
            return divide(a, d), divide(b, d)
    return None


def _same(cases: tuple[tuple[Expr | None, Expr], ...]) -> Expr:
    """A Piecewise, or its value if all cases agree and one of them always applies."""
    values = {value for _, value in cases}
    if len(values) == 1 and cases[-1][0] is None:
        return cases[0][1]
    return Piecewise(cases)


def derivative(expr: Expr, variable: str) -> Expr | None:
    """d expr / d variable, simplified, or None where there is no closed form (steps, random, factorial)."""
    if variable not in names(expr):
        return ZERO
    if isinstance(expr, Name):
        return ONE
    parts = operands(expr)
    if isinstance(expr, Piecewise):
        cases = []
        for condition, value in expr.cases:
            slope = derivative(value, variable)
            if slope is None:
                return None
            cases.append((condition, slope))
        return _same(tuple(cases))
    slopes = [derivative(part, variable) for part in parts]
    if any(slope is None for slope in slopes):
        return None
    d = [slope for slope in slopes if slope is not None]
    if isinstance(expr, Neg):
        return negate(d[0])
    if isinstance(expr, Call):
        outer = _call_derivative(expr)
        return None if outer is None else multiply(outer, d[0])
    if isinstance(expr, Bin):
        left, right = parts
        match expr.op:
            case "+":
                return add(d[0], d[1])
            case "-":
                return subtract(d[0], d[1])
            case "*":
                return add(multiply(d[0], right), multiply(left, d[1]))
            case "/":
                return subtract(divide(d[0], right), divide(multiply(left, d[1]), multiply(right, right)))
            case _ if d[1] == ZERO:
                return multiply(right, power(left, simplify(subtract(right, ONE))), d[0])
            case _:
                return multiply(expr, add(multiply(d[1], Call("log", left)), divide(multiply(right, d[0]), left)))
    return None


def _call_derivative(expr: Call) -> Expr | None:
    x = expr.arg
    match expr.function:
        case "exp":
            return expr
        case "log":
            return divide(ONE, x)
        case "log10":
            return divide(Num(1 / math.log(10)), x)
        case "sqrt":
            return divide(Num(0.5), expr)
        case "sin":
            return Call("cos", x)
        case "cos":
            return Neg(Call("sin", x))
        case "tan":
            return add(ONE, multiply(expr, expr))
        case "sinh":
            return Call("cosh", x)
        case "cosh":
            return Call("sinh", x)
        case "tanh":
            return subtract(ONE, multiply(expr, expr))
    return None
