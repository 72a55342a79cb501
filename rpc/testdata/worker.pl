# A worker in core Perl, without modules: it answers calls on the wire of
# AnyEvent::Fork::RPC's async backend, read from stdin and written to stdout.
binmode STDIN; binmode STDOUT; $| = 1;

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
    event   => sub { my $id = shift; frame 0, @_; frame $id, "sent" },
    fail    => sub { die "$_[1]\n" },
    hold    => sub { push @held, [@_] }, # answered by release, the last one first
    release => sub { frame @$_ for reverse splice @held; frame shift, "released" },
);
while () {
    my ($id, $size) = unpack "NN", take 8;
    my ($name, @args) = unpack "(w/a*)*", take $size;
    $do{$name}->($id, @args);
}
