<?php
declare(strict_types=1);
header('Content-Type: text/html; charset=utf-8');
$extensions = array_map('extension_loaded', ['mysqli', 'mbstring']);
printf('<!doctype html><title>Wiki</title><h1>Wiki</h1><p>PHP %s, %s</p>', PHP_MAJOR_VERSION, in_array(false, $extensions, true) ? 'incomplete' : 'complete');
