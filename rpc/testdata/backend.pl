# A worker whose wire is spoken by AnyEvent::Fork::RPC's own backends, on stdin
# and stdout, as AnyEvent::Fork::Remote starts them:
#
#     perl backend.pl sync|async
use strict;
use warnings;
use AnyEvent::Fork::RPC;
my $async = "async" eq shift;
my $backend = $async ? "AnyEvent::Fork::RPC::Async" : "AnyEvent::Fork::RPC::Sync";
eval "require $backend" or die $@;

my %functions = (
    echo  => sub { @_ },
    add   => sub { $_[0] + $_[1] },
    event => sub { AnyEvent::Fork::RPC::event(@_); "sent" },
    fail  => sub { die "$_[0]\n" },
);
sub main::sync  { my $name = shift; $functions{$name}->(@_) }
sub main::async { my ($done, $name, @args) = @_; $done->($functions{$name}->(@args)) }

my @settings = (
    function   => $async ? "main::async" : "main::sync",
    init       => "",
    serialiser => $AnyEvent::Fork::RPC::STRING_SERIALISER,
    done       => "$backend\::do_exit",
);
my @arguments = $AnyEvent::Fork::RPC::VERSION >= 2
    ? (*STDIN, @settings, rlen => 496, -10)
    : (*STDIN, @settings[1, 3, 5, 7]);
$backend->can("run")->(@arguments);
AnyEvent->condvar->recv if $async; # its exit ends this
