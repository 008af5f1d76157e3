"""A data set whose rows were edited in place is another one; one that is only packed otherwise is the same."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pirig.datasets import as_written, make_stats
from pirig.files.identity import IdentityError
from tests.field.test_identity_data_sets import Planned


def rewritten(data_set, change):
    (file,) = data_set.glob("data/*/*.parquet")
    pq.write_table(change(pq.read_table(file)), file, compression="zstd", row_group_size=4)


def one_number(column):
    def change(table):
        values = np.array(table[column].to_pylist(), np.float32)
        values[3, 0] += 0.5
        kind = table.schema.field(column).type
        return table.set_column(table.column_names.index(column), column, pa.array(values.tolist(), kind))

    return change


def one_picture(table):
    cells = table["observation.images.base_0_rgb"].to_pylist()
    index = table.column_names.index("observation.images.base_0_rgb")
    kind = table.schema.field(index).type
    return table.set_column(index, table.column_names[index], pa.array([*cells[1:], cells[0]], kind))


@pytest.mark.parametrize("change", [one_number("action"), one_number("observation.state"), one_picture])
def test_a_data_set_that_was_edited_in_place_is_not_used(tmp_path, change):
    demos = Planned(tmp_path, [0, 1, 2])
    made = demos.data_set()
    rewritten(made, lambda table: table)  # packed otherwise: the same
    assert demos.data_set() == made
    make_stats.make_norm_stats(demos.config, demos.places)
    rewritten(made, change)
    for use in (demos.data_set, lambda: make_stats.make_norm_stats(demos.config, demos.places)):
        with pytest.raises(
            IdentityError, match=r"rows or pictures were changed after it was made: .* then, .* now.*mv "
        ):
            use()


def test_rows_of_a_data_set_from_before_they_were_noted_are_taken_in_once(tmp_path, capsys):
    demos = Planned(tmp_path, [0, 1])
    (demos.data_set() / "meta/pirig/rows.json").unlink()
    demos.data_set()
    demos.data_set()
    assert capsys.readouterr().out.count("no record of its rows; taken in as they are now") == 1


def test_a_source_that_is_only_read_is_not_written_to(tmp_path):
    demos = Planned(tmp_path, [0, 1])
    source = demos.data_set()
    (source / "meta/pirig/rows.json").unlink()
    before = sorted(source.rglob("*"))
    as_written.require(source, takes_in=False)
    assert sorted(source.rglob("*")) == before
