"""Presets, with the origin of every value.

A file is read (``files``); what it and the command line give are layers of values (``layers``, ``variants``,
``overrides``); they are checked against what is installed (``resolve``, ``coerce``) and become a ``schema.Preset``
(``load``; of a run's folder ``stored``).
"""
