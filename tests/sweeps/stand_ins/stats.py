from pirig.config.agreement import contract_of
from pirig.files.atomic import write_text
from pirig.runs.record import data_folder


def make(config):
    write_text(data_folder(config, contract_of(config)) / "lerobot" / "meta" / "pirig" / "norm_stats.json", "{}")
