def spoil(bench):
    """Add a foreign authority's certificate to the chain."""
    import json

    from airflow_mlsecops.core.oms.certificates import der
    from tests.support.oms_models import base64_text
    from tests.support.oms_pki import issue

    value = json.loads(bench.things["bundle"])
    foreign = der(issue("Passenger", authority=True).certificate)
    chain = value["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain.append({"rawBytes": base64_text(foreign)})
    bench.things["bundle"] = json.dumps(value).encode()
