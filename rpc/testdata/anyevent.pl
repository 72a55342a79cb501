# A parent on AnyEvent::Fork, with the adapter GoWorker:
#
#     perl anyevent.pl AnyEvent::Fork::RPC|AnyEvent::Fork sync|async PROGRAM ARGUMENT...
#
# With the first the calls are made by that module. With the second they are made
# here, for machines that do not have it; the process is asked for what the
# module asks it for. What is read and printed is as in parent.pl, but for the exit status.
use strict;
use warnings;
use AnyEvent;
use AnyEvent::Fork;
use AnyEvent::Handle;
use lib "../examples/perl";
use GoWorker;

my ($module, $wire, @program) = @ARGV;
my $async = $wire eq "async";
my $waiting = 0;
my $ended = AE::cv;

sub show { print join(" ", shift, map "x" . unpack("H*", $_), @_), "\n" }

my %options = (
    async      => $async,
    on_event   => sub { show "event", @_ },
    on_error   => sub { $ended->send($_[0]) },
    on_destroy => sub { $ended->send("") },
);
my $process = GoWorker::process(@program);
my ($call, $close);
if ($module eq "AnyEvent::Fork") {
    ($call, $close) = substitute($process, %options);
} else {
    require AnyEvent::Fork::RPC;
    $call = AnyEvent::Fork::RPC::run($process, "main::not_there", %options);
    $close = sub { undef $call };
}
while (<STDIN>) {
    my $n = $.;
    $waiting++;
    $call->((map { pack "H*", substr $_, 1 } split), sub { $waiting--; show "reply $n", @_ });
}
$close->();
my $error = $ended->recv;
die "$error\n" if $error && $error ne "unexpected eof";
print "eof $waiting waiting\n";

sub substitute {
    my ($process, %options) = @_;
    my ($handle, %callbacks, @callbacks);
    my ($id, $early, $closed) = (0, "", 0);
    my $end = sub {
        my $lost = %callbacks || @callbacks;
        $lost ? $options{on_error}->("unexpected eof") : $options{on_destroy}->();
        $handle->destroy;
    };
    my $frame = sub {
        my ($word, $payload) = @_;
        my $to = !$word ? $options{on_event} : $async ? delete $callbacks{$word} : shift @callbacks;
        $to ? $to->(unpack "(w/a*)*", $payload) : $options{on_error}->("unexpected data from child");
    };
    my $backend = "AnyEvent::Fork::RPC::" . ($async ? "Async" : "Sync");
    $process->require($backend)->send_arg("main::not_there", "", "", "")->run("$backend\::run", sub {
        $handle = AnyEvent::Handle->new(fh => shift, on_eof => $end, on_error => $end, on_read => sub {
            while (length $handle->{rbuf} >= 8) {
                my ($word, $size) = unpack "NN", $handle->{rbuf};
                last if length $handle->{rbuf} < 8 + $size;
                $frame->($word, substr $handle->{rbuf}, 8, $size);
                substr $handle->{rbuf}, 0, 8 + $size, "";
            }
        });
        $handle->push_write($early);
        $handle->push_shutdown if $closed;
    });
    my $write = sub { $handle ? $handle->push_write($_[0]) : ($early .= $_[0]) };
    my $call = sub {
        my $callback = pop;
        my $payload = pack "(w/a*)*", @_;
        if ($async) {
            $callbacks{++$id} = $callback;
            $write->(pack "NN/a*", $id, $payload);
        } else {
            push @callbacks, $callback;
            $write->(pack "N/a*", $payload);
        }
    };
    ($call, sub { $closed = 1; $handle->push_shutdown if $handle });
}
