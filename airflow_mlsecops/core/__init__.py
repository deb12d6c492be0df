"""The framework-free core: it knows no Airflow, takes bytes and values, and answers with frozen results.

Layers inside, lowest first: ``errors``, ``canonical``, ``digest``, ``manifest``, ``artifact``; ``pinning``;
``findings``, ``report``; ``statement``, ``bundle``, ``predicates``; ``signing``, ``trust``; ``store``; ``evidence``;
``policy``; ``verification``; and ``controls``, which need no more than ``artifact`` and ``report``.
"""
