"""The command line: ``fastgmm fit``, ``predict``, ``score``, ``info`` and ``bench``."""
