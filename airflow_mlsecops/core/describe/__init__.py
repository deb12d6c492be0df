"""What a model is, in the forms that auditors and other tools read: a CycloneDX ML-BOM and a model card.

Three sources, kept apart on the page: what verified evidence says (lineage, parameters, controls), what was measured
here on a pinned data set (metrics, subgroups, calibration, attributions), and what the author says in a file.
"""
