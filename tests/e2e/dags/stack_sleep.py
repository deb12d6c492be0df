"""A Dag of the stack's own tests: tasks that would run for hours, one of them in a session of its own."""

import time

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task


@dag(schedule=None, tags=["e2e"])
def stack_sleep() -> None:
    @task
    def sleep_in_python() -> None:
        time.sleep(7213)

    sleep_in_python()
    # Without the environment's marker, too: only its descent tells whose it is.
    BashOperator(task_id="sleep_in_bash", bash_command="sleep 7213", env={"LEFT": "alone"}, append_env=False)


stack_sleep()
