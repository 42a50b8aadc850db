"""What opens the commitment to the data of a run that zk-train began, with float gradients: the
trainer's side (`zk-run open`) and the auditor's (`zk-run replay`).

It is the secret of the rows' salts, and the seed. From the seed follow the division into rows for
training and for testing, the order of the rows, and the first weights (where no beacon gave
them); with the secret anybody can confirm a guess at a row.
"""

from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.first_weights import order_seed
from zk_autograd.core.records import BEACON, Header, Log
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.run.files import exists
from zk_autograd.run.layout import Layout
from zk_autograd.train import data
from zk_autograd.train.data import DataSet, Rows
from zk_autograd.train.names import DataSource
from zk_autograd.train.plan import Plan
from zk_autograd.train.sampler import Sampler


def data_secrets(layout: Layout) -> DataSecrets | None:
    """Those of the run in `layout`; None if zk-train didn't begin it. RunError as Plan.read."""
    if not exists(layout.plan):
        return None
    plan = Plan.read(layout.root)
    return DataSecrets((plan.secret,), seed=plan.seed)


@dataclass(frozen=True, slots=True)
class OpenedData:
    """The rows that the header commits to, and which of them each step took."""

    source: DataSource
    rows: DataSet
    sampler: Sampler

    def batch(self, step: int) -> Rows:
        """The rows of step 1, 2, 3 ..."""
        chosen, train = self.sampler.batch(step), self.rows.train
        return Rows(train.features[chosen], train.labels[chosen])


def opened_data(log: Log, secrets: DataSecrets, source: DataSource) -> OpenedData:
    """The data of a run of zk-train, from where they are now. VerificationError if seed, secret or
    data aren't those of the header; UsageError for data that can't be read."""
    header = log.header
    if len(secrets.salts) != 1 or secrets.seed is None:
        raise VerificationError("the openings have no secret and seed of the data, as those of zk-train's runs have")
    (secret,), seed = secrets.salts, secrets.seed
    found = data.seed_commitment(secret, seed)
    if found != header.data.seed:
        raise VerificationError(
            "the opened secret and seed are not those that the header commits to",
            expected=header.data.seed.hex(),
            found=found.hex(),
        )
    rows = data.load(source, seed)
    committed = data.commitment(rows.train, secret, seed=seed, batch_size=header.data.batch_size)
    if committed != header.data:
        label = "; with another column of classes (--label) they would be others" if isinstance(source, CsvFile) else ""
        raise VerificationError(
            f"the data {source} are not those that the header commits to{label}",
            expected=_said(header),
            found=f"{len(rows.train)} rows with root {committed.root.hex()}",
        )
    return OpenedData(source, rows, Sampler(len(rows.train), header.data.batch_size, _order(log, seed)))


def _said(header: Header) -> str:
    return f"{header.data.count} rows with root {header.data.root.hex()}"


def _order(log: Log, seed: int) -> int:
    """The seed of the rows' order: a beacon's, if it was left to one."""
    if log.header.order_by == BEACON and log.genesis is not None:
        return order_seed(log.header_digest, log.genesis.beacon)
    return seed
