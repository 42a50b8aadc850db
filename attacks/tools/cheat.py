"""A directed cheat: states that the rule doesn't give, hints solved for, and the check that stands
in its way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attacks.tools.outcome import Outcome
from attacks.tools.segment import Segment
from attacks.tools.weakening import exact, without_exactness, without_lookups
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS


@dataclass(frozen=True, slots=True)
class Cheat:
    """`segment` is what the prover claims. These checks refuse it, and no others: it passes in a
    circuit without the lookups `lookups` and without the penalties for outputs of `exact`."""

    title: str
    segment: Segment
    lookups: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()

    @property
    def refusals(self) -> list[str]:
        """The lines that refuse it in the published relations."""
        return self.segment.refusals()

    @property
    def expected(self) -> set[str]:
        """The lines that its checks are in."""
        circuit = CIRCUITS[self.segment.rule]
        penalised = self.exact or set(self.lookups).intersection(exact(circuit))
        return {*self.lookups, *([circuit.last] if penalised else [])}

    @property
    def weakened(self) -> RuleCircuit:
        """The circuit with its checks taken out."""
        circuit = CIRCUITS[self.segment.rule]
        for name in self.exact:
            circuit = without_exactness(circuit, name)
        return without_lookups(circuit, *self.lookups) if self.lookups else circuit


def outcome(name: str, cheats: Sequence[Cheat], gain: str) -> Outcome:
    """What became of all of them."""
    lines = dict.fromkeys(line for cheat in cheats for line in cheat.refusals)
    return Outcome(name, all(cheat.refusals for cheat in cheats), f"the lookups of {', '.join(lines)}", gain)


def described(cheats: Iterable[Cheat]) -> str:
    """One line for each cheat, for a terminal."""
    return "\n".join(f"  {c.segment.rule}: {c.title}: {', '.join(c.refusals) or 'ACCEPTED'}" for c in cheats)
