from pirig.config.agreement import contract_of
from pirig.runs.record import data_folder


def make(config):
    (data_folder(config, contract_of(config)) / "lerobot").mkdir(exist_ok=True)
