# A worker in core Perl, without modules. It answers calls on a wire of
# AnyEvent::Fork::RPC, read from stdin and written to stdout:
#
#     perl worker.pl [sync|async]
binmode STDIN; binmode STDOUT; $| = 1;
my $sync = "sync" eq shift;

sub take { # exactly so many bytes; at the end of the input there is nothing left to do
    my ($size, $data) = (shift, "");
    $size == (read STDIN, $data, $size) || !length $data || die "truncated frame\n";
    length $data || !$size ? $data : exit;
}
sub frame { my $id = shift; print pack "NN/a*", $id, pack "(w/a*)*", @_ }

my @held;
my %do = (
    echo    => sub { my $id = shift; frame $id, @_ },
    add     => sub { my $id = shift; frame $id, $_[0] + $_[1] },
    mul     => sub { my $id = shift; frame $id, $_[0] * $_[1] },
    event   => sub { my $id = shift; frame 0, @_; frame $id, "sent" },
    fail    => sub { die "$_[1]\n" },
    hold    => sub { push @held, [@_] }, # answered by release, the last one first
    release => sub { frame @$_ for reverse splice @held; frame shift, "released" },
);
while () {
    my ($id, $size) = $sync ? (1, unpack "N", take 4) : unpack "NN", take 8;
    my ($name, @args) = unpack "(w/a*)*", take $size;
    $do{$name}->($id, @args);
}
