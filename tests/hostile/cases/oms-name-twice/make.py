def spoil(bench):
    """Repeat the first name right behind it, signed by the good key, with a root digest that fits."""
    import json

    from airflow_mlsecops.core.oms import OmsBundle
    from airflow_mlsecops.core.oms.statement import root_digest
    from tests.support.oms_models import sign_statement

    value = json.loads(OmsBundle.parse(bench.things["bundle"]).payload)
    listed = sorted(value["predicate"]["resources"], key=lambda item: item["name"])
    value["predicate"]["resources"] = listed
    value["subject"][0]["digest"]["sha256"] = root_digest(item["digest"] for item in listed)
    bench.things["bundle"] = sign_statement(value)
