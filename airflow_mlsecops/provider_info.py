"""What Airflow is told about this provider; checked against Airflow's own schema by a test."""

from __future__ import annotations

from typing import Any

from airflow_mlsecops import __version__

_INTEGRATION = "MLSecOps"
_OPERATORS = (
    "approval_gate",
    "attest_provenance",
    "describe_model",
    "detect_label_poisoning",
    "profile_dataset",
    "promote_model",
    "release_gate",
    "revoke",
    "sanitize_dataset",
    "scan_model",
    "sign_artifact",
    "validate_data",
    "verify_artifact",
)
_DECORATORS = ("validate_data", "detect_label_poisoning", "scan_model")
_SENSORS = ("approved_model", "evidence", "signed_artifact")
_TRIGGERS = ("approval", "evidence", "signed_artifact")


def _text_field(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def get_provider_info() -> dict[str, Any]:
    """The entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-mlsecops",
        "name": "MLSecOps",
        "description": "Security controls, signed evidence and gates for machine-learning pipelines.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://airflow-mlsecops.readthedocs.io/",
                "tags": ["software", "security"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"airflow_mlsecops.operators.{name}" for name in _OPERATORS],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"airflow_mlsecops.sensors.{name}" for name in _SENSORS],
            },
        ],
        "hooks": [
            {"integration-name": _INTEGRATION, "python-modules": ["airflow_mlsecops.hooks.mlsecops"]},
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"airflow_mlsecops.triggers.{name}" for name in _TRIGGERS],
            },
        ],
        "asset-uris": [
            {
                "schemes": ["mlsecops"],
                "handler": "airflow_mlsecops.assets.sanitize_uri",
                "factory": "airflow_mlsecops.assets.model_at",
            }
        ],
        "cli": ["airflow_mlsecops.airflow_cli.get_mlsecops_cli_commands"],
        "task-decorators": [
            {"name": name, "class-name": f"airflow_mlsecops.decorators.{name}_task"} for name in _DECORATORS
        ],
        "extra-links": [
            f"airflow_mlsecops.links.{name}" for name in ("EvidenceLink", "ReportLink", "ValidationReportLink")
        ],
        "config": {
            "mlsecops": {
                "description": "Security controls and evidence for machine-learning pipelines.",
                "options": {
                    "observe_provenance": {
                        "description": (
                            "Sign SLSA provenance for every task with asset inlets or outlets, observed by the worker "
                            "that runs it. Tasks can also ask for it one by one, with ``observe_provenance``."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                    "notifiers": {
                        "description": (
                            "Whom to tell what: a JSON list of Airflow notifiers, by class and arguments, each with "
                            "``on``, a list of ``finding``, ``waiting``, ``refusal``, ``alarm``; without it of all. "
                            "Their templates see the task's context and ``mlsecops``, with ``event``, ``subject``, "
                            "``text``, ``reference``, ``evidence`` and ``url``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": (
                            '[{"notifier": "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier", '
                            '"arguments": {"text": "{{ mlsecops.subject }}: {{ mlsecops.text }}"}, "on": ["refusal"]}]'
                        ),
                        "default": "",
                    },
                    "alarm_conn_id": {
                        "description": (
                            "The api-server watches who sets a gate's state by hand, clears it or writes its XCom, and "
                            "signs it as evidence with the signer of this connection, which needs the role ``alarm``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "mlsecops_alarms",
                        "default": "",
                    },
                    "alarm_notifiers": {
                        "description": (
                            "Whom to tell of an alarm: a JSON list of Airflow notifiers, by class and arguments. Their "
                            "context has ``event``, ``user``, ``detail``, ``run`` and ``evidence``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": '[{"notifier": "acme.notifiers.Pager", "arguments": {"team": "ml"}}]',
                        "default": "",
                    },
                    "index_folder": {
                        "description": (
                            "Where the api-server keeps the index behind the lists of the ML Security pages; it is "
                            "derived from the evidence store and can be deleted at any time. Empty for "
                            "``$AIRFLOW_HOME/mlsecops-index``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/cache/airflow-mlsecops",
                        "default": "",
                    },
                    "release_policies": {
                        "description": (
                            "Release policies that the api-server may hand out with a release's evidence: paths, with "
                            "commas. The shipped ones needn't be named."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/etc/policies/production.yaml",
                        "default": "",
                    },
                    "alarm_operators": {
                        "description": "Which classes of operators are watched, with commas; empty for our gates.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "ReleaseGateOperator,AcmeGateOperator",
                        "default": "",
                    },
                },
            }
        },
        "connection-types": [
            {
                "connection-type": "mlsecops",
                "hook-class-name": "airflow_mlsecops.hooks.mlsecops.MlsecopsHook",
                "hook-name": "ML security evidence",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "port", "login", "schema", "extra"],
                    "relabeling": {"password": "Passphrase of the signing key"},
                    "placeholders": {"password": "empty if the key is not encrypted"},
                },
                "conn-fields": {
                    "evidence_root": _text_field("Evidence store", "A folder, or s3://bucket/prefix"),
                    "signer": _text_field("Signer", "file:/path/of/private-key.pem, awskms:…, hsm:…, sigstore:…"),
                    "trust_policy": _text_field("Trust policy", "Path of its file, on workers and api-server"),
                    "log_origin": _text_field("Evidence log", "Its name, such as example.com/evidence; empty for none"),
                    "log_signer": _text_field("Signer of the log", "Ed25519 or ECDSA P-256; empty for the signer"),
                    "retention": _text_field("Object Lock", "For S3, such as COMPLIANCE:365; empty for none"),
                    "aws_conn_id": _text_field("AWS connection", "For S3 and KMS; empty for boto3's own chain"),
                    "sigstore_config": _text_field(
                        "Sigstore configuration",
                        "JSON; for URIs with sigstore:connection or sigstore=connection",
                    ),
                },
            }
        ],
    }
