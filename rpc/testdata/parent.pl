# A parent in core Perl, without modules, on a wire of AnyEvent::Fork::RPC:
#
#     perl parent.pl sync|async PROGRAM ARGUMENT...
#
# It starts the program with two pipes for stdin and stdout, makes a call for each
# line of its own stdin, all at once, closes, and prints what comes until the
# program has. Lines are words; a value is an x and its bytes in hex.
use strict;
use warnings;

my ($wire, @program) = @ARGV;
my $sync = $wire eq "sync";

pipe my $their_in, my $out or die "pipe: $!";
pipe my $in, my $their_out or die "pipe: $!";
defined(my $pid = fork) or die "fork: $!";
if (!$pid) {
    open STDIN, "<&", $their_in or die "stdin: $!";
    open STDOUT, ">&", $their_out or die "stdout: $!";
    exec @program or die "$program[0]: $!";
}
close $their_in;
close $their_out;
binmode $_ for $in, $out;
local $SIG{PIPE} = "IGNORE";

my ($calls, $write, %waiting, @waiting) = (0, "");
while (<STDIN>) {
    my $payload = pack "(w/a*)*", map { pack "H*", substr $_, 1 } split;
    $calls++;
    $write .= $sync ? pack "N/a*", $payload : pack "NN/a*", $calls, $payload;
    $waiting{$calls} = 1;
    push @waiting, $calls;
}

sub received { # one frame
    my ($word, $payload) = @_;
    my $values = join "", map { " x" . unpack "H*", $_ } unpack "(w/a*)*", $payload;
    return print "event$values\n" if !$word;
    die "the word of a reply is $word\n" if $sync && $word != 1;
    my $call = $sync ? shift @waiting : $word;
    delete $waiting{$call // 0} or die "unexpected data from child: reply $word\n";
    print "reply $call$values\n";
}

my $read = "";
while () {
    if ($out && !length $write) { close $out; undef $out }
    my ($readable, $writable) = ("", "");
    vec($readable, fileno $in, 1) = 1;
    vec($writable, fileno $out, 1) = 1 if $out;
    select $readable, $writable, undef, undef;
    if ($out && vec $writable, fileno $out, 1) {
        # A pipe that is writable takes this much (PIPE_BUF) without blocking.
        my $n = syswrite $out, $write, 512;
        $write = defined $n ? substr $write, $n : "";
    }
    if (vec $readable, fileno $in, 1) {
        my $n = sysread $in, $read, 65536, length $read;
        defined $n or die "read: $!\n";
        last if !$n;
        while (length $read >= 8) {
            my ($word, $size) = unpack "NN", $read;
            last if length $read < 8 + $size;
            received($word, substr $read, 8, $size);
            substr $read, 0, 8 + $size, "";
        }
    }
}
die "eof in the middle of a frame\n" if length $read;
waitpid $pid, 0;
print "eof ", scalar(keys %waiting), " waiting, exit ", $? >> 8, "\n";
