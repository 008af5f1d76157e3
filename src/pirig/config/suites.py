"""A suite: one task option that stands for several tasks of one simulator, told apart by their sentences."""

from __future__ import annotations

from pirig.config.names import near
from pirig.config.schema import Config, TaskConfig


def chosen_tasks(task: TaskConfig) -> list[str]:
    """The simulator's names of the suite's tasks, or of the one that `task.only` chooses (all where a rule refuses it)."""
    return [name for name in task.tasks if _is_meant(task, name)] or list(task.tasks)


def _is_meant(task: TaskConfig, name: str) -> bool:
    return task.only in (name, str(list(task.tasks).index(name)))


def task_of_suite_is_there(config: Config) -> str | None:
    """The rule that `checks` asks."""
    task = config.task
    if task.only and not task.tasks:
        return f"task.only={task.only} with task={task.name}: it is one task, no suite; leave task.only out."
    if task.tasks and config.mix is not None:
        return (
            f"mix={config.mix.name}: {task.env_id} is a suite, which is trained on as task={task.env_id}; leave it out."
        )
    if not task.only or any(_is_meant(task, name) for name in task.tasks):
        return None
    return _unknown(task)


def sentences_can_be_exchanged(config: Config) -> str | None:
    """The rule that `checks` asks."""
    task = config.task
    if not config.eval.exchange_prompts or (len(chosen_tasks(task)) > 1 and not task.prompt and config.mix is None):
        return None
    return (
        f"eval.exchange_prompts=true with task={task.name}: the tasks of a suite are told one another's sentences; give one of "
        "several tasks, such as task=libero_object, without task.only and task.prompt."
    )


def _unknown(task: TaskConfig) -> str:
    names = list(task.tasks)
    nearest = near(task.only, names)
    meant = f" Did you mean {nearest}?" if nearest else f" The first is {names[0]}."
    return f"task.only={task.only} with task={task.name}: expected a number from 0 to {len(names) - 1} or a task's name.{meant}"
