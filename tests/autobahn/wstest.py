# Python 2.7, started by run.py: wstest, but it listens on 127.0.0.1 only (by itself it listens on every interface),
# and on SIGTERM it writes the reports of the cases run so far before it ends.
from autobahntestsuite import wstest, fuzzing  # wstest first: it chooses the reactor
from twisted.internet import reactor

listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, backlog=50, interface='': listen(port, factory, backlog, '127.0.0.1')

factories = []
init = fuzzing.FuzzingFactory.__init__


def remember(self, *args):
    init(self, *args)
    factories.append(self)


def terminate(*_):
    for f in factories:
        reactor.callFromThread(f.createReports)
    reactor.callFromThread(reactor.stop)


fuzzing.FuzzingFactory.__init__ = remember
reactor.sigTerm = terminate
wstest.run()
