# A worker in core Perl on a wire of AnyEvent::Fork::RPC. It removes files and
# folders, and sends an event with every third request.
use strict;
use warnings;
my $sync = $ARGV[0] eq "sync";
open my $frames, ">&", *STDOUT or die "stdout: $!";
open STDOUT, ">&", *STDERR or die "stderr: $!"; # what somebody prints must not come between the frames
binmode $_ for *STDIN, $frames;
$frames->autoflush;

sub take { # exactly so many bytes; at the end of the input there is nothing left to do
    my ($size) = @_;
    my $n = read STDIN, my $data, $size;
    exit if !$n && $size;
    $n == $size or die "truncated frame\n";
    return $data;
}

sub give {
    my ($id, @values) = @_;
    print $frames pack "NN/a*", $id, pack "(w/a*)*", @values;
}

my %functions = (
    rmdir  => sub { rmdir $_[0] },
    unlink => sub { unlink $_[0] },
);
my $handled = 0;
while () {
    my ($id, $size) = $sync ? (1, unpack "N", take 4) : unpack "NN", take 8;
    my ($name, $path) = unpack "(w/a*)*", take $size;
    give 0, "$handled requests handled" if ++$handled % 3 == 0;
    give $id, $functions{$name}->($path) ? "removed" : lcfirst "$!";
}
