<?php
// Runs the commands of tests/any_driver/clients/script.rs, and publishes by hand.

$url = parse_url($argv[1]);
$place = "host={$url['host']};port={$url['port']};dbname=" . substr($url['path'], 1);
$isMysql = $url['scheme'] === 'mysql';
if ($isMysql) {
    $dsn = "mysql:$place";
    $call = "CALL message_bus_publish('orders', 'OrderPlaced', 1, ?, NULL, NULL, NULL, NULL, NULL, NULL)";
} else {
    parse_str($url['query'], $query);
    $dsn = "pgsql:$place;options='{$query['options']}'";
    $call = "SELECT message_bus_publish('orders', 'OrderPlaced', 1, ?)";
}
$connection = new PDO($dsn, $url['user'], '', [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);

while (($line = fgets(STDIN)) !== false) {
    $command = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
    try {
        if (isset($command['publish'])) {
            $statement = $connection->prepare($call);
            $statement->execute([$command['publish']]);
            if ($isMysql) {
                $statement->closeCursor();
                $statement = $connection->query('SELECT @message_bus_id');
            }
            if (!$statement->fetchColumn()) {
                throw new RuntimeException('no id');
            }
        } else {
            $connection->exec($command['execute']);
        }
        echo "ok\n";
    } catch (Exception $error) {
        echo json_encode($error->getMessage()), "\n";
    }
}
