# A worker in core Perl on a wire of AnyEvent::Fork::RPC, read from stdin and written to
# stdout: perl worker.pl [sync|async]
use strict;
use warnings;
my $sync = $ARGV[0] eq "sync";
open my $frames, ">&", *STDOUT or die "stdout: $!";
open STDOUT, ">&", *STDERR or die "stderr: $!"; # what somebody prints must not come between the frames
binmode $_ for *STDIN, $frames;
$frames->autoflush;

sub take { # exactly so many bytes
    my ($size, $data) = @_;
    my $n = read STDIN, $data, $size;
    $n == $size or die "truncated frame\n";
    return $data;
}

sub give {
    my ($id, @values) = @_;
    print $frames pack "NN/a*", $id, pack "(w/a*)*", @values or die "stdout: $!\n"; # SIGPIPE may be ignored
}

sub removed { # an event with every third request
    my ($id, $removed, $error) = (@_, "$!");
    our $handled;
    give 0, "$handled requests handled" if ++$handled % 3 == 0;
    give $id, $removed ? "removed" : lcfirst $error;
}

my @held;
my %functions = (
    rmdir   => sub { my ($id, $path) = @_; removed $id, rmdir $path },
    unlink  => sub { my ($id, $path) = @_; removed $id, unlink $path },
    echo    => sub { give @_ },
    add     => sub { my ($id, $a, $b) = @_; give $id, $a + $b },
    mul     => sub { my ($id, $a, $b) = @_; give $id, $a * $b },
    event   => sub { my ($id, @values) = @_; give 0, @values; give $id, "sent" },
    fail    => sub { my ($id, $text) = @_; die "$text\n" }, # there is no frame for that: the process ends
    hold    => sub { push @held, [@_] }, # answered by release, the last one first
    release => sub { my ($id) = @_; give @$_ for reverse splice @held; give $id, "released" },
);
until (eof STDIN) {
    my ($id, $size) = $sync ? (1, unpack "N", take 4) : unpack "NN", take 8;
    my ($name, @arguments) = unpack "(w/a*)*", take $size;
    my $function = $functions{$name // ""} or die "no function of that name\n";
    $function->($id, @arguments);
}
