"""The signed statement: licence, enrolment, reports, chain, receipts; shared by both ends.

Pure but for the cryptography: time comes in as a value, nothing is read or sent. Every check raises
``Refused`` with an error class of REPORT_FORMAT §12. Follow the files in this order:

* ``typs``, ``refused``, ``strictjson``, ``grammar``, ``names``: the vocabulary;
* ``keys``, ``tokens``: keys, and one token signed or opened (layer 1);
* ``licence``, ``terms``: what the vendor signed, and its cycles;
* ``enrolment``, ``succession``, ``keychain``, ``identity``: who the installation is (layer 4);
* ``content``, ``checks``, ``fitting``, ``report``: one report (layers 2-3);
* ``chain``, ``findings``: all reports of one usage object;
* ``receipt``, ``bundle``: the vendor's answer; reports as a file.
"""
