"""Random months and parameters of the law, and its corners."""

from hypothesis import strategies as st

from tests.growth.reference import NO_BURSTS, Case

NEW = (0.0, 0.0, 3.0, 7.0, 70.0, 1.0, 0.0, 59.0)
THETA = {"poisson": (1.2, 1.5, -0.2), "birth": (1.2, 1.5, -0.2), "surge": (1.2, 1.5, -0.2, 0.4)}
BURSTS = (0.03, 12.0, 0.7)
PERIOD = (0.2, -0.3, 0.1, 0.4, -0.2, 0.0, 0.3, -0.1, 0.25)

_LOW, _HIGH = (-2.0, 0.0, -0.7, -2.0), (2.0, 4.0, 1.5, 2.5)


def surge(
    exponent: float = 0.7, strength: float = 0.6, memory: float = 0.3, bursts=BURSTS, **more
) -> Case:
    """A case of the surge law; other fields of `Case` by name."""
    values = {"new": NEW, "theta": THETA["surge"], "period": PERIOD, "share": 0.3, **more}
    return Case("surge", shared=(exponent, strength, memory, *bursts), **values)


CORNERS = {
    "all parts": surge(),
    "in proportion": surge(exponent=1.0),
    "nearly in proportion": surge(exponent=1.0 - 1e-9),
    "where a series takes over": surge(exponent=1.0 - 1e-3),
    "hardly any reinforcement": surge(exponent=0.05),
    "no bursts": surge(bursts=NO_BURSTS),
    "no period effect": surge(period=(), share=1.0),
    "whole calendar months": surge(share=1.0),
    "no carry-over": surge(strength=0.0, memory=0.0),
    "in proportion, nothing else": surge(1.0, 0.0, 0.0, NO_BURSTS, period=(), share=1.0),
    "the old law": surge(1.0, 0.5, 0.2, NO_BURSTS, period=(), share=1.0),
    "no month at all": surge(new=()),
    "only empty months": surge(new=(0.0,) * 9),
    "a burst out of nothing": surge(new=(0.0, 0.0, 4000.0, 0.0, 1.0, 0.0)),
    "a burst without bursts": surge(new=(0.0, 0.0, 4000.0, 0.0, 1.0, 0.0), bursts=NO_BURSTS),
    "huge counts": surge(new=(1e3, 1e5, 3e6, 2e6, 1e6), theta=(4.0, 1.5, -0.2, 0.4)),
    "wide scatter": surge(theta=(1.2, 1.5, -0.2, 4.0)),
    "hardly any scatter": surge(theta=(1.2, 1.5, -0.2, -9.0)),
    "late": surge(theta=(1.2, 5.0, -1.0, 0.4)),
    "early": surge(theta=(1.2, -3.0, -0.2, 0.4)),
    "little fitness": surge(theta=(-8.0, 1.5, 0.2, 0.4)),
    "little reinforcement, huge counts": surge(
        exponent=0.3, new=(1e3, 1e5, 3e5), theta=(9.0, 1.5, -0.2, 0.4)
    ),
    "constant m": surge(m=30.0),
    "poisson": Case("poisson", NEW, THETA["poisson"], m=30.0),
    "birth": Case("birth", NEW, THETA["birth"], m=30.0),
    "poisson, empty": Case("poisson", (0.0,) * 6, THETA["poisson"]),
    "birth, empty": Case("birth", (0.0,) * 6, THETA["birth"]),
    "birth, huge": Case("birth", (1e3, 1e5, 3e6), THETA["birth"]),
}


@st.composite
def cases(draw, law: str) -> Case:
    """Any months, any parameters within reach of the priors."""
    size = 4 if law == "surge" else 3
    theta = tuple(draw(st.floats(_LOW[k], _HIGH[k])) for k in range(size))
    new = draw(st.lists(st.integers(0, 400) | st.integers(0, 3), min_size=1, max_size=16))
    new = tuple(map(float, new))
    m = draw(st.sampled_from([1.0, 30.0]))
    if law != "surge":
        return Case(law, new, theta, m=m)
    bursts = NO_BURSTS
    if draw(st.booleans()):
        bursts = (
            draw(st.floats(1e-4, 0.3)), draw(st.floats(1.0, 40.0)), draw(st.floats(0.1, 3.0))
        )  # fmt: skip
    exponent = draw(st.sampled_from([1.0, 1.0 - 1e-12]) | st.floats(0.05, 1.0))
    strength, memory = draw(st.floats(-0.9, 0.9)), draw(st.floats(0.0, 0.95))
    period = tuple(draw(st.lists(st.floats(-1.5, 1.5), max_size=len(new) + 1)))
    share = draw(st.sampled_from([1.0]) | st.floats(0.02, 1.0))
    return Case(law, new, theta, (exponent, strength, memory, *bursts), period, share, m)
