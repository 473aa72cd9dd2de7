"""A year of cycles under fire: the operator's own code against simulated products and faults.

A *history* is one installation from its first start on: a few LicenseUsages, each with simulated
products whose truth is known, one operator process after the other (killed and started again at
random), one vendor. Everything that decides or keeps something is the real code: reconcile and its
steps, sources from the HTTP answer on, metering, the ledger in its file, reports, delivery, the
receiver's application with its database. Simulated are time, the products' pods, the API server (a
store of objects behind the methods of ``controller.kube.Kube``) and the network to the vendor.

One number, the seed, makes a history; nothing else decides what happens in it. See ``__main__`` for
the command, ``checks`` for what must hold.
"""
