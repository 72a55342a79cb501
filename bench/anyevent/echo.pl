# The AnyEvent::Fork::RPC contestant: keeps a number of calls in flight to an
# echo worker, and prints calls per second.
#
#     perl echo.pl sync|async CALLS INFLIGHT SIZE
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
use AnyEvent;
use AnyEvent::Fork;
use AnyEvent::Fork::RPC;

my ($mode, $calls, $inflight, $size) = @ARGV;
my $payload = substr "abcdefghijklmnopqrstuvwxyz" x ($size / 26 + 1), 0, $size;

my $rpc = AnyEvent::Fork
   ->new
   ->eval('sub sync { $_[0] } sub async { my $done = shift; $done->($_[0]) }')
   ->AnyEvent::Fork::RPC::run(
      "main::$mode",
      async    => $mode eq "async",
      on_error => sub { die "echo.pl: $_[0]\n" },
   );

sub make_calls {
   my ($count) = @_;
   my $done = AE::cv;
   my $started = 0;
   my $finished = 0;
   my $reply;
   my $start = sub { ++$started; $rpc->($payload, $reply) };
   $reply = sub {
      # the bytes of the first only: to compare a megabyte takes time, which is measured
      die "echo.pl: a reply differs from its call\n" if length $_[0] != $size || !$finished && $_[0] ne $payload;
      return $done->send if ++$finished == $count;
      $start->() if $started < $count;
   };
   $start->() while $started < $count && $started < $inflight;
   $done->recv;
}

make_calls(int($calls / 10) + 1);
my $begin = clock_gettime(CLOCK_MONOTONIC);
make_calls($calls);
printf "%.1f calls/s\n", $calls / (clock_gettime(CLOCK_MONOTONIC) - $begin);
