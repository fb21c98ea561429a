-- How texts are compared: addresses by their mailbox, names as people search and order them. Not by a locale of the operating system or of
-- PostgreSQL, which differ from server to server and change with their upgrades: an index must not depend on them.
SET LOCAL lock_timeout = '60s';

-- CaseFolding.txt of Unicode 17.0, statuses C and F. Foldings are stable: later versions only add letters (Unicode Standard, stability policies).
CREATE FUNCTION fold_case(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    folding record;
BEGIN
    IF octet_length(value) = char_length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    IF value ~ '[ßİŉǰΐΰևẖẗẘẙẚẞὐὒὔὖᾀᾁᾂᾃᾄᾅᾆᾇᾈᾉᾊᾋᾌᾍᾎᾏᾐᾑᾒᾓᾔᾕᾖᾗᾘᾙᾚᾛᾜᾝᾞᾟᾠᾡᾢᾣᾤᾥᾦᾧᾨᾩᾪᾫᾬᾭᾮᾯᾲᾳᾴᾶᾷᾼῂῃῄῆῇῌῒΐῖῗῢΰῤῦῧῲῳῴῶῷῼﬀﬁﬂﬃﬄﬅﬆﬓﬔﬕﬖﬗ]' THEN
        FOR folding IN SELECT * FROM (VALUES
            ('ß', 'ss'), ('İ', 'i̇'), ('ŉ', 'ʼn'), ('ǰ', 'ǰ'), ('ΐ', 'ΐ'), ('ΰ', 'ΰ'), ('և', 'եւ'), ('ẖ', 'ẖ'),
            ('ẗ', 'ẗ'), ('ẘ', 'ẘ'), ('ẙ', 'ẙ'), ('ẚ', 'aʾ'), ('ẞ', 'ss'), ('ὐ', 'ὐ'), ('ὒ', 'ὒ'), ('ὔ', 'ὔ'),
            ('ὖ', 'ὖ'), ('ᾀ', 'ἀι'), ('ᾁ', 'ἁι'), ('ᾂ', 'ἂι'), ('ᾃ', 'ἃι'), ('ᾄ', 'ἄι'), ('ᾅ', 'ἅι'), ('ᾆ', 'ἆι'),
            ('ᾇ', 'ἇι'), ('ᾈ', 'ἀι'), ('ᾉ', 'ἁι'), ('ᾊ', 'ἂι'), ('ᾋ', 'ἃι'), ('ᾌ', 'ἄι'), ('ᾍ', 'ἅι'), ('ᾎ', 'ἆι'),
            ('ᾏ', 'ἇι'), ('ᾐ', 'ἠι'), ('ᾑ', 'ἡι'), ('ᾒ', 'ἢι'), ('ᾓ', 'ἣι'), ('ᾔ', 'ἤι'), ('ᾕ', 'ἥι'), ('ᾖ', 'ἦι'),
            ('ᾗ', 'ἧι'), ('ᾘ', 'ἠι'), ('ᾙ', 'ἡι'), ('ᾚ', 'ἢι'), ('ᾛ', 'ἣι'), ('ᾜ', 'ἤι'), ('ᾝ', 'ἥι'), ('ᾞ', 'ἦι'),
            ('ᾟ', 'ἧι'), ('ᾠ', 'ὠι'), ('ᾡ', 'ὡι'), ('ᾢ', 'ὢι'), ('ᾣ', 'ὣι'), ('ᾤ', 'ὤι'), ('ᾥ', 'ὥι'), ('ᾦ', 'ὦι'),
            ('ᾧ', 'ὧι'), ('ᾨ', 'ὠι'), ('ᾩ', 'ὡι'), ('ᾪ', 'ὢι'), ('ᾫ', 'ὣι'), ('ᾬ', 'ὤι'), ('ᾭ', 'ὥι'), ('ᾮ', 'ὦι'),
            ('ᾯ', 'ὧι'), ('ᾲ', 'ὰι'), ('ᾳ', 'αι'), ('ᾴ', 'άι'), ('ᾶ', 'ᾶ'), ('ᾷ', 'ᾶι'), ('ᾼ', 'αι'), ('ῂ', 'ὴι'),
            ('ῃ', 'ηι'), ('ῄ', 'ήι'), ('ῆ', 'ῆ'), ('ῇ', 'ῆι'), ('ῌ', 'ηι'), ('ῒ', 'ῒ'), ('ΐ', 'ΐ'), ('ῖ', 'ῖ'),
            ('ῗ', 'ῗ'), ('ῢ', 'ῢ'), ('ΰ', 'ΰ'), ('ῤ', 'ῤ'), ('ῦ', 'ῦ'), ('ῧ', 'ῧ'), ('ῲ', 'ὼι'), ('ῳ', 'ωι'),
            ('ῴ', 'ώι'), ('ῶ', 'ῶ'), ('ῷ', 'ῶι'), ('ῼ', 'ωι'), ('ﬀ', 'ff'), ('ﬁ', 'fi'), ('ﬂ', 'fl'), ('ﬃ', 'ffi'),
            ('ﬄ', 'ffl'), ('ﬅ', 'st'), ('ﬆ', 'st'), ('ﬓ', 'մն'), ('ﬔ', 'մե'), ('ﬕ', 'մի'), ('ﬖ', 'վն'), ('ﬗ', 'մխ')) AS foldings (letter, folded)
        LOOP
            value := replace(value, folding.letter, folding.folded);
        END LOOP;
    END IF;
    RETURN translate(lower(value COLLATE "C"),
        'µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌɎͅͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᏸᏹᏺᏻᏼᏽᲀᲁᲂᲃᲄᲅᲆᲇᲈᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẛẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟὨὩὪὫὬὭὮὯᾸᾹᾺΆιῈΈῊΉῘῙῚΊῨῩῪΎῬῸΌῺΏΩKÅℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟐꟖꟘꟵꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡ᲉꟋꟌ꟎꟒꟔ꟚꟜ𐵐𐵑𐵒𐵓𐵔𐵕𐵖𐵗𐵘𐵙𐵚𐵛𐵜𐵝𐵞𐵟𐵠𐵡𐵢𐵣𐵤𐵥𖺠𖺡𖺢𖺣𖺤𖺥𖺦𖺧𖺨𖺩𖺪𖺫𖺬𖺭𖺮𖺯𖺰𖺱𖺲𖺳𖺴𖺵𖺶𖺷𖺸',
        'μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžsɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍɏιͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭᏰᏱᏲᏳᏴᏵвдосттъѣꙋაბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕṡạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗὠὡὢὣὤὥὦὧᾰᾱὰάιὲέὴήῐῑὶίῠῡὺύῥὸόὼώωkåⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊꟑꟗꟙꟶᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃ᲊɤꟍ꟏ꟓꟕꟛƛ𐵰𐵱𐵲𐵳𐵴𐵵𐵶𐵷𐵸𐵹𐵺𐵻𐵼𐵽𐵾𐵿𐶀𐶁𐶂𐶃𐶄𐶅𖺻𖺼𖺽𖺾𖺿𖻀𖻁𖻂𖻃𖻄𖻅𖻆𖻇𖻈𖻉𖻊𖻋𖻌𖻍𖻎𖻏𖻐𖻑𖻒𖻓');
END $$;
COMMENT ON FUNCTION fold_case(text) IS 'A text without regard to case: full case folding as Unicode says (section 3.13), so that ß is ss';

-- RFC 3492, section 6.3.
CREATE FUNCTION punycode(label text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    digits CONSTANT text := 'abcdefghijklmnopqrstuvwxyz0123456789';
    codes CONSTANT integer[] := ARRAY(SELECT ascii(letter) FROM regexp_split_to_table(label, '') WITH ORDINALITY AS letters (letter, place) ORDER BY place);
    output text := regexp_replace(label, '[^\x01-\x7f]', '', 'g');
    basic CONSTANT integer := char_length(output);
    handled integer := basic;
    lowest integer := 128;
    delta bigint := 0;
    bias integer := 72;
    code integer;
    coming integer;
    rest bigint;
    step integer;
    threshold integer;
BEGIN
    IF basic > 0 THEN
        output := output || '-';
    END IF;
    WHILE handled < cardinality(codes) LOOP
        SELECT min(c) INTO coming FROM unnest(codes) AS c WHERE c >= lowest;
        delta := delta + (coming - lowest)::bigint * (handled + 1);
        lowest := coming;
        FOREACH code IN ARRAY codes LOOP
            IF code < lowest THEN
                delta := delta + 1;
            ELSIF code = lowest THEN
                rest := delta;
                step := 36;
                LOOP
                    threshold := greatest(1, least(26, step - bias));
                    EXIT WHEN rest < threshold;
                    output := output || substr(digits, (threshold + (rest - threshold) % (36 - threshold))::integer + 1, 1);
                    rest := (rest - threshold) / (36 - threshold);
                    step := step + 36;
                END LOOP;
                output := output || substr(digits, rest::integer + 1, 1);
                -- Section 6.1.
                delta := CASE WHEN handled = basic THEN delta / 700 ELSE delta / 2 END;
                delta := delta + delta / (handled + 1);
                step := 0;
                WHILE delta > 455 LOOP
                    delta := delta / 35;
                    step := step + 36;
                END LOOP;
                bias := step + (36 * delta / (delta + 38))::integer;
                delta := 0;
                handled := handled + 1;
            END IF;
        END LOOP;
        delta := delta + 1;
        lowest := lowest + 1;
    END LOOP;
    RETURN output;
END $$;

CREATE FUNCTION email_key(address text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    mailbox text;
    domain text;
BEGIN
    IF octet_length(address) = char_length(address) THEN
        RETURN lower(address COLLATE "C");
    END IF;
    mailbox := substring(address FROM '^(.*)@');
    domain := substring(address FROM '@([^@]*)$');
    mailbox := normalize(public.fold_case(normalize(mailbox, NFC)), NFC);
    -- UTS 46: ß and the final ς stay what they are (IDNA 2008 has them); fillers do not count.
    domain := translate(domain, E'ẞßς\u115F\u1160\u3164\uFFA0', E'\u0001\u0001\u0002');
    domain := translate(public.fold_case(normalize(domain, NFKC)), '。', '.');
    domain := translate(normalize(domain, NFKC), E'\u0001\u0002', 'ßς');
    SELECT string_agg(CASE WHEN octet_length(label) = char_length(label) THEN label ELSE 'xn--' || public.punycode(label) END, '.' ORDER BY place)
        INTO domain FROM unnest(string_to_array(domain, '.')) WITH ORDINALITY AS labels (label, place);
    RETURN mailbox || '@' || domain;
END $$;
COMMENT ON FUNCTION email_key(text) IS 'An address as addresses are compared: the part before the at sign composed (NFC) and without regard to case, the domain as in the DNS (RFC 5890, A-labels). The server computes the same';

-- A trigger in place of the generated column: members who had one mailbox before this migration keep keys that differ from email_key().
ALTER TABLE partner_members ALTER COLUMN email_key DROP EXPRESSION;
COMMENT ON COLUMN partner_members.email_key IS 'email as it is compared: email_key() of it, but for a member whose mailbox another one of the partner had before that was noticed';
CREATE FUNCTION partner_members_email_key() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.email_key := public.email_key(NEW.email);
    RETURN NEW;
END $$;
CREATE TRIGGER partner_members_email_key BEFORE INSERT OR UPDATE OF email ON partner_members
    FOR EACH ROW EXECUTE FUNCTION partner_members_email_key();
REVOKE ALL ON FUNCTION partner_members_email_key() FROM PUBLIC;

-- The functions that compare addresses use email_key(). The rest of them is unchanged.
DO $migration$
BEGIN
    EXECUTE replace(pg_get_functiondef('allocate_partner_credit(uuid, text, text, integer, integer)'::regprocedure),
        'lower(address COLLATE "C")', 'public.email_key(address)');
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'lower(verified_email COLLATE "C")', 'public.email_key(verified_email)');
END $migration$;

-- An invitation names an address and no user, so it raises no user's version: it is looked up for each request with a verified address.
CREATE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
$$;
REVOKE ALL ON FUNCTION portal_is_invited(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_is_invited(uuid, text) TO portal_gate, portal_app;

-- Credits follow the key, whatever changes it.
DROP TRIGGER partner_members_address ON partner_members;
CREATE TRIGGER partner_members_address AFTER UPDATE OF email, email_key ON partner_members FOR EACH ROW
    WHEN (OLD.email_key <> NEW.email_key) EXECUTE FUNCTION partner_members_address();

-- The members who are there. Where a partner has one mailbox twice, the older member has it from now on; the key of the other is one that no
-- address has, and it is told of when the server or `partner-portal migrate` has migrated. Each key is computed once.
CREATE TEMPORARY TABLE keys ON COMMIT DROP AS
    SELECT m.tenant_id, m.partner_id, m.id, m.created_at, m.email_key AS old_key, email_key(m.email) AS new_key
    FROM partner_members m WHERE octet_length(m.email) <> char_length(m.email) OR m.email ~* '@.*xn--';
INSERT INTO keys SELECT m.tenant_id, m.partner_id, m.id, m.created_at, m.email_key, m.email_key
    FROM partner_members m JOIN (SELECT DISTINCT tenant_id, partner_id, new_key FROM keys) k
        ON k.tenant_id = m.tenant_id AND k.partner_id = m.partner_id AND k.new_key = m.email_key
    WHERE NOT EXISTS (SELECT FROM keys o WHERE o.tenant_id = m.tenant_id AND o.id = m.id);
CREATE TEMPORARY TABLE ranked ON COMMIT DROP AS
    SELECT *, row_number() OVER (PARTITION BY tenant_id, partner_id, new_key ORDER BY created_at, id) AS place FROM keys;
UPDATE partner_members m SET email_key = r.new_key || ' ' || m.id
FROM ranked r WHERE r.tenant_id = m.tenant_id AND r.id = m.id AND r.place > 1;
UPDATE partner_members m SET email_key = r.new_key
FROM ranked r WHERE r.tenant_id = m.tenant_id AND r.id = m.id AND r.place = 1 AND m.email_key <> r.new_key;
